"""The probe: how long a window a model really uses, under each scaling method.

`longctx.run_probe` lets a model answer questions about texts of rising length and writes what came out;
`longctx.load_report` reads it again, for whoever has to decide how long a prompt may be.
"""
