"""What every stage shares: errors, files, paths, the study file and the schema of the tables."""
