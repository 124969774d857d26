"""What a person looks at: tables, reports, pictures, videos."""
