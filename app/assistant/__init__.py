"""The model and the agents: chat, and the tools over MCP. Its libraries are an extra, loaded when first needed."""
