/** An HTTP API for tests: it keeps what it is asked and answers what it is told to. */
export type Asked = { method: string; path: string; headers: Headers; body: string };
export type TestApi = {
  url: URL;
  asked: Asked[];
  /** What the next requests are answered; a function may take its time, and `undefined` closes the connection. */
  answer: (asked: Asked) => Response | undefined | Promise<Response | undefined>;
  stop(): Promise<void>;
};

export function startApi(answer: TestApi["answer"]): TestApi {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const asked = {
        method: request.method,
        path: new URL(request.url).pathname,
        headers: request.headers,
        body: await request.text(),
      };
      api.asked.push(asked);
      const response = await api.answer(asked);
      if (response !== undefined) return response;
      // The connection ends without an answer, as when a process dies in between.
      await server.stop(true);
      return new Response();
    },
  });
  const api: TestApi = {
    url: new URL(`http://127.0.0.1:${server.port}`),
    asked: [],
    answer,
    stop: () => server.stop(true),
  };
  return api;
}
