"""Pictures of captures and reconstructions."""
