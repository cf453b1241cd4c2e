"""The register: what is recorded and why, how long it is kept, who had access, and which controls are in force."""
