import { expect, test } from "bun:test";
import { curlOf, shellQuote } from "./curl.ts";

test("a shell reads a quoted word back as it was", () => {
  for (const word of ["plain", "it's", "$HOME `x` \\", 'a "b"\nc', ""]) {
    const { stdout } = Bun.spawnSync(["sh", "-c", `printf %s ${shellQuote(word)}`]);
    expect(stdout.toString()).toBe(word);
  }
});

test("the command line carries the body and leaves the key to its reader", () => {
  const command = curlOf("http://localhost:3000", "/v1/emails", { subject: "it's" });
  expect(command).toStartWith("curl 'http://localhost:3000/v1/emails' \\\n");
  expect(command).toContain('"Authorization: Bearer $TYTO_API_KEY"');
  const script = command.replace(/^curl/, "printf '%s\\n'");
  const words = Bun.spawnSync(["sh", "-c", script]).stdout.toString();
  expect(words).toContain(JSON.stringify({ subject: "it's" }, null, 2));
});

test("a request without a body sends none", () => {
  expect(curlOf("http://localhost:3000", "/v1/emails")).not.toContain("-d");
});
