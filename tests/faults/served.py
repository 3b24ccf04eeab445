"""A recommender as MLflow serves it, asked in this process: HTTP, without a port."""

import asyncio
import warnings
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from deeprec.recommender import Recommender

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # MLflow warns of its own type hints
    from mlflow.models import Model
    from mlflow.pyfunc import PyFuncModel, scoring_server
    from mlflow.pyfunc.model import PythonModelContext, _PythonModelPyfuncWrapper
    from mlflow.types.schema import DataType

    from search.tracking.model_store import signature_of
    from search.tracking.serving_model import ANSWERED as ANSWERED
    from search.tracking.serving_model import ServedRecommender

Message = MutableMapping[str, Any]


class Served:
    """A recommender behind ``/invocations``."""

    def __init__(self, recommender: Recommender) -> None:
        self.model = ServedRecommender()
        self.model.use(recommender)
        ids = dict.fromkeys(("user_ids", "movie_ids"), DataType.long)
        signature = signature_of(ids, "movie_id")
        context = PythonModelContext({}, {})  # type: ignore[no-untyped-call]
        wrapper = _PythonModelPyfuncWrapper(self.model, context, signature)
        about = Model(signature=signature, flavors={"python_function": {"loader_module": "none"}})
        self.pyfunc = PyFuncModel(about, wrapper)
        self._app = scoring_server.init(self.pyfunc)

    def load(self, folder: Path) -> None:
        """Has the model load a recommender, as MLflow does before it serves it."""
        context = PythonModelContext({"recommender": str(folder)}, {})  # type: ignore[no-untyped-call]
        self.model.load_context(context)

    def ask(self, body: bytes, content_type: str = "application/json") -> tuple[int, str]:
        """The status and the text of the answer to a request."""
        return asyncio.run(self._answer(body, content_type))

    async def _answer(self, body: bytes, content_type: str) -> tuple[int, str]:
        sent: list[Message] = []
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return waiting.pop() if waiting else await asyncio.Future()

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(_scope(content_type), receive, send)
        text = b"".join(message.get("body", b"") for message in sent)
        return int(sent[0]["status"]), text.decode()


def _scope(content_type: str) -> Message:
    about = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"}
    place = {"path": "/invocations", "raw_path": b"/invocations", "query_string": b""}
    ends = {"root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}
    headers = [(b"content-type", content_type.encode())]
    return {**about, **place, **ends, "method": "POST", "headers": headers}
