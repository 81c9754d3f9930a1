import { looksLikeAddress } from "./mailbox.ts";

/** As SetupRequest of the contracts. */
export const passwordCharsMin = 12;
export const passwordCharsMax = 128;

export type Account = { name: string; email: string; password: string };

/** The wrong fields of a new account with the i18n key of what to do. */
export function accountProblems(account: Account): { name: keyof Account; key: string }[] {
  const problems: { name: keyof Account; key: string }[] = [];
  if (account.name.trim() === "") problems.push({ name: "name", key: "account.problem.name" });
  if (!looksLikeAddress(account.email.trim())) problems.push({ name: "email", key: "account.problem.email" });
  if (account.password.length < passwordCharsMin || account.password.length > passwordCharsMax)
    problems.push({ name: "password", key: "account.problem.password" });
  return problems;
}
