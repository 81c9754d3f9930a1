import { readFileSync } from "node:fs";
import { claimOf, readMessage } from "@tyto/mail";

const dir = "/var/tmp/h-bounces/out/";
let ok = 0,
  bad = 0;
const hardReasons = new Set(["mailbox.unknown", "mailbox.moved", "domain.unknown", "domain.takes-no-mail"]);
for (const f of process.argv.slice(2))
  for (const c of JSON.parse(readFileSync(dir + f, "utf8"))) {
    const claim = claimOf(readMessage(new Uint8Array(readFileSync(dir + c.name + ".eml")))!);
    const got =
      claim.kind === "bounce"
        ? claim.report.recipients.map((r) => [
            r.address ?? null,
            r.classification?.reason ?? null,
            r.action,
            r.classification?.hard,
          ])
        : [];
    const want = c.expect.map((e) => [e[0], e[1], e[2] ?? "failed"]);
    const same =
      claim.kind === c.kind && JSON.stringify(got.map((g) => g.slice(0, 3))) === JSON.stringify(want);
    if (same) ok++;
    else {
      bad++;
      console.log(
        c.name,
        claim.kind,
        claim.kind === "bounce" ? claim.report.format : "",
        "\n  got ",
        JSON.stringify(got),
        "\n  want",
        JSON.stringify(want),
        claim.kind === "bounce"
          ? "\n  diag " +
              claim.report.recipients
                .map((r) => (r.reply?.code ?? "") + " " + r.diagnostic?.slice(0, 150))
                .join(" | ")
          : "",
      );
    }
  }
console.log({ ok, bad });
