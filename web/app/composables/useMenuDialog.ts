/**
 * For a menu whose entries open dialogs: the menu goes first, and the dialog opens with the focus on the menu's button. So closing
 * the dialog gives the focus back to the button; the entry that was chosen is gone by then.
 */
export function useMenuDialog(button: () => HTMLElement | undefined) {
  let chosen: (() => void) | undefined;
  return {
    /** Opens the dialog once the menu is gone. */
    afterwards: (open: () => void) => {
      chosen = open;
    },
    onCloseAutoFocus: (event: Event) => {
      if (chosen === undefined) return;
      event.preventDefault();
      button()?.focus();
      chosen();
      chosen = undefined;
    },
  };
}
