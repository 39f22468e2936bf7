"""Data: what is asked about (`items`), and how it is read (`loading`) from the tables that people have (`table_files`).

Knows nothing of labels' meaning, teachers or students.
"""

from distrust.data.items import REFERENCE, Items, concatenate, content_id, row_numbers
from distrust.data.loading import COMPLETION, MESSAGES, PROMPT, load_items
from distrust.data.table_files import column, load_table

__all__ = [
    "COMPLETION",
    "MESSAGES",
    "PROMPT",
    "REFERENCE",
    "Items",
    "column",
    "concatenate",
    "content_id",
    "load_items",
    "load_table",
    "row_numbers",
]
