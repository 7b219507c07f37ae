"""Chat with a language model, and the tools over MCP. Its libraries are an extra, imported when first needed."""
