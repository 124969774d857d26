"""The machine: processes, devices, files, versions."""
