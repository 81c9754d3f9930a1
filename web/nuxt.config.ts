/**
 * A static single-page app: the gateway (or Caddy) serves `.output/public`, and everything server-side is the gateway's.
 * Nothing here or in the built pages reaches beyond the own origin: fonts and icons come from packages.
 */
export default defineNuxtConfig({
  compatibilityDate: "2026-11-01",
  ssr: false,
  telemetry: false,
  devtools: { enabled: false },
  modules: ["@nuxt/ui", "@nuxtjs/i18n"],
  css: ["~/assets/css/main.css"],
  app: {
    head: {
      title: "Tyto",
      htmlAttrs: { lang: "en" },
      meta: [
        { name: "viewport", content: "width=device-width, initial-scale=1" },
        { name: "robots", content: "noindex" },
        { name: "color-scheme", content: "light dark" },
      ],
      link: [{ rel: "icon", type: "image/svg+xml", href: "/favicon.svg" }],
    },
  },
  // Component names spell their folder and file without repeating the noun: message/MessageList.vue is MessageList.
  components: [{ path: "~/components", pathPrefix: false }],
  ui: { fonts: false },
  icon: {
    provider: "none",
    fallbackToApi: false,
    serverBundle: false,
    // Only literal icon names are found by the scan.
    clientBundle: { scan: { globInclude: ["app/**/*.{vue,ts}"] }, sizeLimitKb: 512 },
  },
  i18n: {
    strategy: "no_prefix",
    defaultLocale: "en",
    locales: [
      { code: "en", language: "en-US", name: "English", file: "en.json" },
      { code: "de", language: "de-DE", name: "Deutsch", file: "de.json" },
    ],
    // The cookie is read here and written by useLanguage alone: a language that was only detected is not kept, or the first
    // visit would decide for all that follow.
    detectBrowserLanguage: { useCookie: false, cookieKey: "tyto_language_choice", fallbackLocale: "en" },
  },
  nitro: { preset: "static" },
  // One shell for every path: the gateway answers unknown paths with 200.html and hashes its inline scripts.
  hooks: { "prerender:routes": ({ routes }) => routes.clear() },
  // A look-alike of the production origin for `nuxt dev`: everything server-side goes to a running gateway.
  vite: {
    server: {
      proxy: {
        "/api": "http://127.0.0.1:3100",
        "/v1": "http://127.0.0.1:3100",
        "/convex": { target: "http://127.0.0.1:3100", ws: true },
      },
    },
  },
  typescript: {
    tsConfig: {
      compilerOptions: {
        strict: true,
        noUncheckedIndexedAccess: true,
        noImplicitOverride: true,
        noFallthroughCasesInSwitch: true,
        verbatimModuleSyntax: true,
        allowImportingTsExtensions: true,
        types: ["bun-types"],
      },
    },
  },
});
