/**
 * The house rules that matter, executable: each reads the sources once. A rule that cannot be said here in a few
 * lines belongs in a review.
 */
import { expect, test } from "bun:test";
import { lstatSync, readlinkSync } from "node:fs";
import { subjects, users } from "@tyto/contracts";

const root = `${import.meta.dir}/..`;
const listed = Bun.spawnSync(["git", "ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root })
  .stdout.toString()
  .split("\n")
  .filter((path) => path !== "");

type Source = { path: string; text: string };
const read = async (paths: string[]): Promise<Source[]> => {
  const sources = await Promise.all(
    paths
      .map(async (path) => ({ path, file: Bun.file(`${root}/${path}`) }))
      .map(async (entry) => {
        const { path, file } = await entry;
        return (await file.exists()) ? [{ path, text: await file.text() }] : [];
      }),
  );
  return sources.flat();
};

const code = await read(listed.filter((path) => /\.(ts|vue)$/.test(path) && !path.includes("_generated/")));
const product = code.filter(
  ({ path }) => !/\.test\.ts$|^test\/|^bench\/|\/testing\.ts$|\/fixtures\/|\/test\//.test(path),
);
const services = product.filter(({ path }) => path.startsWith("services/"));
const libraries = product.filter(({ path }) => path.startsWith("packages/"));

/** Lines of `sources` that match, as `path:line text`, so that a failure says where to look. */
const places = (sources: Source[], pattern: RegExp, allowed: (path: string) => boolean = () => false) =>
  sources
    .filter(({ path }) => !allowed(path))
    .flatMap(({ path, text }) =>
      text
        .split("\n")
        .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : [])),
    );

test("services share subjects, not code", () => {
  const names = [...new Set(services.map(({ path }) => path.split("/")[1]))].join("|");
  expect(places(services, new RegExp(`from "(@tyto/(${names})\\b|(\\.\\./){2,}(${names})/)`))).toEqual([]);
});

test("packages know no service", () => {
  expect(places(libraries, /from ".*services\//)).toEqual([]);
});

test("contracts import zod and nothing else", () => {
  const contracts = libraries.filter(({ path }) => path.startsWith("packages/contracts/"));
  expect(places(contracts, /from "(?!zod"|\.\/)/)).toEqual([]);
});

test("only config.ts of a service reads the environment", () => {
  const readsEnvironment = /^(?!\s*(\/?\*|\/\/)).*(process\.env|Bun\.env|import\.meta\.env)/;
  // The sandbox gives Convex functions an environment of their own in its place.
  const sandbox = "packages/convex-local/src/functions/sandbox.ts";
  const mayRead = (path: string) => path.endsWith("/config.ts") || path === sandbox;
  expect(places([...services, ...libraries], readsEnvironment, mayRead)).toEqual([]);
});

test("only the bus acknowledges", () => {
  const acknowledges = /\.(ack|ackAck|nak|term|working)\(/;
  expect(
    places([...services, ...libraries], acknowledges, (path) => path.startsWith("packages/bus/")),
  ).toEqual([]);
});

test("mail code asks our DNS module, never the runtime's", () => {
  expect(places([...services, ...libraries], /from "(node:)?dns(\/promises)?"|Bun\.dns/)).toEqual([]);
});

test("no test is singled out, slept through or built on a mocked module", () => {
  const tests = code.filter(({ path }) => path.endsWith(".test.ts") && path !== "test/tidy.test.ts");
  expect(places(tests, /\.only\(|mock\.module|jest\.mock|vi\.mock/)).toEqual([]);
});

test("every subject is published and consumed by code that names it", () => {
  const named = (subject: string) =>
    services.filter(({ text }) => text.includes(`"${subject}"`)).map(({ path }) => path);
  for (const [user, { publishes }] of Object.entries(users))
    for (const subject of publishes)
      expect({
        subject,
        user,
        found: named(subject).some((path) => path.startsWith(`services/${user}/`)),
      }).toEqual({
        subject,
        user,
        found: true,
      });
  const applied = code
    .filter(({ path }) => path.startsWith("convex/"))
    .map(({ text }) => text)
    .join("\n");
  for (const subject of subjects)
    expect({ subject, applied: applied.includes(`"${subject}"`) }).toEqual({ subject, applied: true });
});

test("every setting of a service stands in its README", async () => {
  const configs = services.filter(({ path }) => path.endsWith("/src/config.ts"));
  expect(configs.length).toBeGreaterThan(4);
  for (const { path, text } of configs) {
    const readme = await Bun.file(`${root}/${path.replace("src/config.ts", "README.md")}`).text();
    const names = [...text.matchAll(/^\s+([A-Z][A-Z0-9_]{2,}):/gm)].map((match) => match[1] ?? "");
    const missing = names.filter((name) => !readme.includes(name));
    expect({ path, missing }).toEqual({ path, missing: [] });
  }
});

test("folders and files are named for a thing", () => {
  const drawer = /(^|\/)(utils|common|shared|helpers|core|lib|misc)(\/|\.ts$)/;
  expect(listed.filter((path) => drawer.test(path) && !path.startsWith("web/"))).toEqual([]);
});

test("nothing in the repository names a machine's path or a package registry's host", async () => {
  const text = await read(
    listed.filter((path) => !/\.(png|svg|ico|woff2?|eml)$/.test(path) && path !== "test/tidy.test.ts"),
  );
  const forbidden = new RegExp(
    ["registry\\.npm", "deb\\.debian", "security\\.debian", "(^|[^\\w.])/wo" + "rk/"].join("|"),
  );
  expect(places(text, forbidden)).toEqual([]);
  // A build leaves links with whole paths (Nuxt's `dist`), which a pattern with a slash at its end does not ignore.
  const links = listed.filter((path) =>
    lstatSync(`${root}/${path}`, { throwIfNoEntry: false })?.isSymbolicLink(),
  );
  expect(links.filter((path) => readlinkSync(`${root}/${path}`).startsWith("/"))).toEqual([]);
});

test("comments give reasons, not plans", () => {
  expect(places(product, /\b(TODO|FIXME|XXX|HACK)\b/)).toEqual([]);
});
