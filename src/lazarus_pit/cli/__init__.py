"""SAY: what people type and what they are told."""
