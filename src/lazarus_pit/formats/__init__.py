"""PARSE, purely: bytes to structs and back; garbage raises FormatError and nothing else."""
