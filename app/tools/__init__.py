"""Every tool by its name. A new one is one more entry in the list of its noun."""

from app.tools.table import Tool
from app.tools.tasks import TASK_TOOLS

TOOLS: dict[str, Tool] = {tool.name: tool for tool in (*TASK_TOOLS,)}
