import { expect, test } from "bun:test";
import type { DnsRecordView, DomainView } from "@tyto/contracts";
import { command, describeDomain } from "./domain.ts";

const record: DnsRecordView = {
  purpose: "dkim",
  type: "TXT",
  name: "tyto1r._domainkey.example.com",
  value: "v=DKIM1; k=rsa; p=AAAA",
  required: true,
  state: "found",
  found: [],
};
const domain: DomainView = {
  domain: "example.com",
  state: "verified",
  created_at: "2026-01-01T00:00:00Z",
  records: [
    record,
    { ...record, name: "tyto2r._domainkey.example.com", required: false, stage: "next", state: "missing" },
    { ...record, name: "tyto0r._domainkey.example.com", required: false, stage: "old" },
    { ...record, purpose: "dmarc", name: "_dmarc.example.com", required: false, state: "missing" },
  ],
  rotation: { keep_until: "2026-01-08T00:00:00.000Z" },
};

test("a domain is shown with every record, and those of keys that do not sign apart from the others", () => {
  const shown = describeDomain(domain).map((line) => Bun.stripANSI(line));
  expect(shown).toEqual([
    "example.com  verified",
    expect.stringContaining("TXT  tyto1r._domainkey.example.com  found"),
    "    v=DKIM1; k=rsa; p=AAAA",
    expect.stringContaining("TXT  _dmarc.example.com  missing, recommended"),
    "    v=DKIM1; k=rsa; p=AAAA",
    "",
    expect.stringContaining("Next keys"),
    expect.stringContaining("TXT  tyto2r._domainkey.example.com  missing"),
    "    v=DKIM1; k=rsa; p=AAAA",
    "",
    expect.stringContaining("until 2026-01-08T00:00:00.000Z"),
    expect.stringContaining("TXT  tyto0r._domainkey.example.com  found"),
    "    v=DKIM1; k=rsa; p=AAAA",
  ]);
});

test("without a rotation nothing is said of one", () => {
  const { rotation: _, ...plain } = { ...domain, records: [record] };
  expect(describeDomain(plain)).toHaveLength(3);
});

test.each([
  [["burn"], 'no "tyto domain burn"'],
  [["rotate"], "the DOMAIN is missing"],
])("a wrong command line says what is wrong: %p", async (argv, message) => {
  await expect(command.run(argv)).rejects.toThrow(message);
});

test("a real answer of the API is asked for by path and shown", async () => {
  const asked: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      asked.push(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`.trim());
      return Response.json(domain);
    },
  });
  const options = ["--url", String(server.url), "--key", "a key of the test"];
  try {
    for (const action of ["add", "show", "check", "rotate"])
      expect(await command.run([action, "example.com", ...options])).toBe(0);
  } finally {
    await server.stop(true);
  }
  expect(asked).toEqual([
    'POST /v1/domains {"domain":"example.com"}',
    "GET /v1/domains/example.com",
    "POST /v1/domains/example.com/check",
    "POST /v1/domains/example.com/rotate-keys",
  ]);
});
