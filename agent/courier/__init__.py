"""The courier: delivers what waits in the outbox, and deletes local copies at their deadline. It holds no keys."""
