import { expect, test } from "bun:test";
import { parseRoutes, routeOf } from "./routes.ts";

test("a named domain goes its own way, every other one the way of *", () => {
  const routes = parseRoutes("Example.com=127.0.0.1:2526, *=relay.example.net:587,six.example=[::1]");
  expect(routeOf(routes, "EXAMPLE.com")).toEqual({ host: "127.0.0.1", port: 2526 });
  expect(routeOf(routes, "six.example")).toEqual({ host: "::1", port: 25 });
  expect(routeOf(routes, "other.example")).toEqual({ host: "relay.example.net", port: 587 });
});

test("a host may be a container's name", () => {
  expect(parseRoutes("remote.example=mail-catcher:2525").get("remote.example")?.host).toBe("mail-catcher");
});

test("without * a domain that is not named has no route", () => {
  expect(routeOf(parseRoutes("example.com=127.0.0.1:25"), "example.org")).toBeUndefined();
  expect(parseRoutes("").size).toBe(0);
});

test.each([
  "example.com",
  "=127.0.0.1:25",
  "example.com=",
  "example.com=host name:25",
  "*=127.0.0.1:0",
  "a=b:25",
  "*=x.example:99999",
])("%p is refused with the entry named", (text) => {
  expect(() => parseRoutes(text)).toThrow(/domain=host:port/);
});
