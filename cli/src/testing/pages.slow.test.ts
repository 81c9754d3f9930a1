import { expect, test } from "bun:test";
import { mkdtemp, realpath, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../run.ts";
import { writePages } from "./pages.ts";

const installed = join(import.meta.dir, "../../../node_modules");

const component = `<script setup lang="ts">
defineProps<{ count: number }>();
defineEmits<{ step: [by: number] }>();
</script>
<template><p>{{ count.toFixed(0) }}</p></template>
`;

const page = (inScript: string, attribute: string) => `<script setup lang="ts">
import Counter from "~/components/Counter.vue";
import { double } from "../double.ts";
${inScript}
</script>
<template><Counter ${attribute} @step="(by) => double(by)" /></template>
`;

const pages = {
  "sound.vue": page("const shown: number = double(2);", ':count="shown"'),
  "script.vue": page('const shown: number = double("2");', ':count="shown"'),
  "property.vue": page('const shown = "2";', ':count="shown"'),
  "missing.vue": page("", ""),
  "name.vue": page("", ':count="unknown"'),
};

/** What the native compiler says of an app with these pages and one component, by page. */
async function check(): Promise<Partial<Record<keyof typeof pages, string>>> {
  const web = await realpath(await mkdtemp(join(tmpdir(), "tyto-pages-")));
  try {
    await symlink(installed, join(web, "node_modules"));
    await Bun.write(join(web, "app/components/Counter.vue"), component);
    await Bun.write(join(web, "app/double.ts"), "export const double = (by: number): number => 2 * by;\n");
    for (const [name, text] of Object.entries(pages)) await Bun.write(join(web, "app/pages", name), text);
    const project = {
      compilerOptions: {
        ...{ target: "ESNext", module: "preserve", moduleResolution: "Bundler", lib: ["ESNext", "DOM"] },
        ...{ strict: true, skipLibCheck: true, noEmit: true, allowImportingTsExtensions: true, types: [] },
        ...{ allowArbitraryExtensions: true, jsx: "preserve", jsxImportSource: "vue" },
        paths: { "~/*": ["../app/*"] },
      },
      include: ["../app/**/*"],
      exclude: ["../node_modules"],
    };
    await Bun.write(join(web, ".nuxt/tsconfig.app.json"), JSON.stringify(project));
    const compiler = join(installed, "typescript-native/bin/tsc");
    const outcome = await run([process.execPath, compiler, "-p", await writePages(web)], { cwd: web });
    expect(outcome.stderr).toBe("");
    const faults = [...outcome.stdout.matchAll(/^\S*?([^/]+\.vue)\.ts\([\d,]+\): (.+)$/gm)];
    return Object.fromEntries(faults.map(([, name, fault]) => [name, fault]));
  } finally {
    await rm(web, { recursive: true });
  }
}

test("the native compiler finds what is wrong in a page's script, in its template and across components, and nothing else", async () => {
  expect(await check()).toEqual({
    "script.vue": expect.stringContaining("'string' is not assignable to parameter of type 'number'"),
    "property.vue": expect.stringContaining("Type 'string' is not assignable to type 'number'"),
    "missing.vue": expect.stringContaining(
      "'{ onStep: any; }' is not assignable to parameter of type '{ readonly count: number",
    ),
    "name.vue": expect.stringContaining("'unknown' does not exist on type"),
  });
});
