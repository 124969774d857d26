"""Views for people: tables, reports, pictures, videos."""
