/**
 * Pages and components as the TypeScript that they mean, so that TypeScript's native compiler, which cannot read `.vue`,
 * checks them too: in a quarter of the processor time of vue-tsc, which writes the same text with the same library.
 */
import { mkdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createParsedCommandLine, createVueLanguagePlugin, forEachEmbeddedCode } from "@vue/language-core";
import ts from "typescript";

/** Beside what Nuxt generates, one folder below its projects. */
const folder = ".nuxt/vue";

/**
 * Writes each `.vue` of the app at `web` out as TypeScript, with a project that lays the app and what was written over
 * each other. Needs `.nuxt/tsconfig.app.json`; the path of the project to check.
 */
export async function writePages(web: string): Promise<string> {
  const config = join(web, ".nuxt/tsconfig.app.json");
  const target = join(web, folder);
  await rm(target, { recursive: true, force: true });
  const { options, vueOptions } = createParsedCommandLine(ts, ts.sys, config);
  // By its name: a path to the library would be one from where the page lies, not from where its TypeScript does.
  const named = { ...vueOptions, typesRoot: "@vue/language-core/types" };
  const plugin = createVueLanguagePlugin<string>(ts, options, named, (path) => path);
  for await (const page of new Bun.Glob("app/**/*.vue").scan({ cwd: web })) {
    const { text, extension } = typescriptOf(
      plugin,
      join(web, page),
      await readFile(join(web, page), "utf8"),
    );
    await mkdir(dirname(join(target, page)), { recursive: true });
    await Bun.write(join(target, `${page}${extension}`), text);
  }
  const project = join(target, "tsconfig.json");
  await Bun.write(project, JSON.stringify(overlaid(JSON.parse(await readFile(config, "utf8"))), null, 2));
  return project;
}

type Plugin = ReturnType<typeof createVueLanguagePlugin<string>>;

function typescriptOf(plugin: Plugin, path: string, page: string): { text: string; extension: string } {
  const written = plugin.createVirtualCode?.(path, "vue", ts.ScriptSnapshot.fromString(page), {
    getAssociatedScript: () => undefined,
  });
  for (const { id, snapshot } of written ? forEachEmbeddedCode(written) : []) {
    const language = /^script_([jt]sx?)$/.exec(id)?.[1];
    if (language !== undefined)
      return { text: snapshot.getText(0, snapshot.getLength()), extension: `.${language}` };
  }
  throw new Error(`${path} has no TypeScript`);
}

export type Project = {
  compilerOptions: { paths?: Record<string, string[]>; rootDirs?: string[]; [option: string]: unknown };
  include: string[];
  exclude: string[];
};

/**
 * Nuxt's project of the app, one folder deeper. A path that leads into the app also leads to what was written: a page is
 * imported as `x.vue`, which is found there as `x.vue.ts`.
 */
export function overlaid(project: Project): Project {
  const { paths = {}, ...options } = project.compilerOptions;
  const both = (path: string) =>
    /^\.\.\/(?!\.)/.test(path) ? [deeper(path), `./${path.slice(3)}`] : [deeper(path)];
  return {
    ...project,
    compilerOptions: {
      ...options,
      paths: Object.fromEntries(Object.entries(paths).map(([name, places]) => [name, places.flatMap(both)])),
      rootDirs: ["../..", "."],
    },
    include: [...project.include.map(deeper), "./**/*"],
    exclude: project.exclude.map(deeper),
  };
}

const deeper = (path: string) => (path.startsWith("./") ? `.${path}` : `../${path}`);
