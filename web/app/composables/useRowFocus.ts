/** J and K move the focus over the links marked `data-row` of a list, so that Enter opens what is seen as chosen. */
export function useRowFocus(list: Readonly<Ref<HTMLElement | null>>) {
  const move = (step: 1 | -1) => () => {
    const links = [...(list.value?.querySelectorAll<HTMLElement>("[data-row]") ?? [])];
    const here = links.indexOf(document.activeElement as HTMLElement);
    const next = links[here < 0 ? (step === 1 ? 0 : links.length - 1) : here + step];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };
  defineShortcuts({ j: move(1), k: move(-1) });
}
