"""OpenAI's chat completions over HTTP: the back end that asks a server, and the server that one model answers from."""
