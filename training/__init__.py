"""Makes nano, the small Kontext-shaped checkpoint: data, VAE, transformer and text encoders, export, evaluation."""
