"""Export and import: the pages of an export, file formats, and the writes of an import.

Nothing here waits for a client: ``app.jobs.exporting`` and ``app.jobs.importing`` do, between short transactions.
"""
