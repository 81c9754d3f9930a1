/** Names of tables, indexes and components. */
export const IDENTIFIER = /^[a-zA-Z][a-zA-Z0-9_]{0,63}$/;
