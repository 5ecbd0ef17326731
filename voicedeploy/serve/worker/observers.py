"""Pipecat's observers, told only what they listen to.

Pipecat puts every frame that any processor processes into a queue of every observer, each with a task of its
own. Most observers have no `on_process_frame`: for them that is some 250 wake-ups a second, for nothing.
"""

from typing import Any

from .log import log


def lighten() -> None:
    """Skips observers whose `on_process_frame` is the empty one they inherit."""
    try:
        from pipecat.observers.base_observer import BaseObserver
        from pipecat.pipeline.worker_observer import WorkerObserver

        tell = WorkerObserver.on_process_frame
        nothing = BaseObserver.on_process_frame
        known = tell.__code__.co_names == ("_send_to_proxy",)
    except (ImportError, AttributeError) as error:
        log(f"observers are told everything: {error}")
        return
    if not known:
        log("observers are told everything: this Pipecat has changed")
        return

    async def on_process_frame(self: WorkerObserver, data: Any) -> None:
        for proxy in (self._proxies or {}).values():
            if type(proxy.observer).on_process_frame is not nothing:
                await proxy.queue.put(data)

    WorkerObserver.on_process_frame = on_process_frame  # type: ignore[method-assign]
