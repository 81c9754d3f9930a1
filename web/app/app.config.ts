/** Tyto's colours and the few places where its look differs from Nuxt UI's. The scales stand in assets/css/main.css. */
export default defineAppConfig({
  ui: {
    colors: {
      primary: "petrol",
      secondary: "tawny",
      success: "moss",
      info: "sky",
      warning: "amber",
      error: "brick",
      neutral: "feather",
    },
    button: { slots: { base: "cursor-pointer" } },
    badge: { slots: { base: "rounded-full" } },
    card: {
      slots: {
        root: "rounded-lg shadow-xs",
        header: "px-4 py-3 sm:px-5",
        body: "p-4 sm:p-5",
        footer: "px-4 py-3 sm:px-5",
      },
    },
    modal: { variants: { overlay: { true: { overlay: "bg-neutral-950/40 dark:bg-neutral-950/65" } } } },
    slideover: { variants: { overlay: { true: { overlay: "bg-neutral-950/40 dark:bg-neutral-950/65" } } } },
    dashboardSidebar: { slots: { root: "bg-muted", header: "h-14", body: "gap-5" } },
    dashboardNavbar: { slots: { root: "h-14" } },
    dashboardPanel: { slots: { body: "p-0 sm:p-0 gap-0 sm:gap-0" } },
  },
});
