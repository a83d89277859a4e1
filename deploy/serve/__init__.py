"""A query-only endpoint: serves a network on any substrate over HTTP, in the Open Inference Protocol v2.

Clients receive metered answers only, at the level that `reveals` names.
"""

from __future__ import annotations

from bl_neuro.deploy.serve.clients import Clients, add_client, hashes_of, read_token_file
from bl_neuro.deploy.serve.server import serve
from bl_neuro.deploy.serve.settings import ServeSettings

__all__ = ["Clients", "ServeSettings", "add_client", "hashes_of", "read_token_file", "serve"]
