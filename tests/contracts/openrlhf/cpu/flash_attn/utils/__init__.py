"""Names that OpenRLHF imports from flash-attn, which no CPU has."""
