/** Whether a page's "add" dialog is open, held in the URL as `?add=1` so that other pages can lead straight into it. */
export function useAddDialog() {
  const add = useQueryState("add");
  return computed({
    get: () => add.value === "1",
    set: (open: boolean) => {
      add.value = open ? "1" : "";
    },
  });
}
