"""An auditor's program: several members followed, every block made again, lies kept."""
