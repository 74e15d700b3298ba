# An endpoint in Python with FastAPI: it writes down who created a Pod.
# Start it with: uvicorn main:app --port 9000
from urllib.parse import unquote
from fastapi import Body, FastAPI, Header

app = FastAPI()
KEY = "example.com/created-by"

@app.post("/")
def created_by(pod: dict = Body(), ce_authid: str = Header("")):
    if KEY in (pod.get("metadata", {}).get("annotations") or {}):
        return []
    path = "/metadata/annotations/" + KEY.replace("~", "~0").replace("/", "~1")
    return [{"op": "add", "path": path, "value": unquote(ce_authid)}]
