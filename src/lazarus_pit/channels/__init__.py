"""ASK, TELL: how people hear of the fleet and answer, each way a task of its own."""
