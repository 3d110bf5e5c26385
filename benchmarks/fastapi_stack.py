"""The same two services from the usual parts: FastAPI on uvicorn, asyncio streams, json.

Usage: fastapi_stack.py agent PORT | control-plane PORT AGENT_PORT
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import uvicorn
import uvloop
from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field


class Workload(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    id: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
    image: Annotated[str, Field(max_length=255)]
    runtime_class: str
    memory_mb: Annotated[int, Field(ge=1)]
    cpu_millicores: Annotated[int, Field(ge=1)]


async def agent(port: int) -> None:
    states: dict[str, str] = {}
    specs: dict[str, dict] = {}

    def answer(line: bytes) -> dict:
        request = json.loads(line)
        if request["type"] == "StartWorkload":
            workload = Workload(**request["workload"])
            if workload.id not in states:
                states[workload.id] = "Pending"
                specs[workload.id] = request["workload"]
                asyncio.get_running_loop().call_later(
                    0.05, states.__setitem__, workload.id, "Running"
                )
            return {"type": "Status", "id": workload.id, "state": states[workload.id]}
        if request["id"] in states:
            return {"type": "Status", "id": request["id"], "state": states[request["id"]]}
        return {
            "type": "Error",
            "id": request["id"],
            "code": "not_found",
            "message": "no such workload",
        }

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(json.dumps(answer(line)).encode() + b"\n")
            await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


class Pool:
    """Connections to the agent, each for one request at a time."""

    def __init__(self, port: int) -> None:
        self.port, self.free = port, []

    async def ask(self, message: dict) -> dict:
        reader, writer = (
            self.free.pop() if self.free else await asyncio.open_connection("127.0.0.1", self.port)
        )
        writer.write(json.dumps(message).encode() + b"\n")
        reply = json.loads(await reader.readline())
        self.free.append((reader, writer))
        return reply


def control_plane(agent_port: int) -> FastAPI:
    pool = Pool(agent_port)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        for _, writer in pool.free:
            writer.close()

    app = FastAPI(lifespan=lifespan)

    @app.post("/workloads", status_code=201)
    async def create(workload: Workload, response: Response) -> Workload:
        await pool.ask({"type": "StartWorkload", "workload": workload.model_dump()})
        response.headers["location"] = f"/workloads/{workload.id}"
        return workload

    @app.get("/workloads/{workload_id}")
    async def status(workload_id: str) -> dict[str, str]:
        reply = await pool.ask({"type": "GetStatus", "id": workload_id})
        if reply["type"] == "Error":
            raise HTTPException(404, reply["message"])
        return {"id": workload_id, "state": reply["state"].lower()}

    return app


if __name__ == "__main__":
    role, port = sys.argv[1], int(sys.argv[2])
    if role == "agent":
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(agent(port))
    else:
        uvicorn.run(
            control_plane(int(sys.argv[3])), port=port, log_level="warning", access_log=False
        )
