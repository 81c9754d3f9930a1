/** The page behind an unsubscribe link: plain HTML that works without scripts, in the reader's language and colours. */

type Words = Record<"title" | "ask" | "button" | "done" | "doneMore" | "unknown" | "unknownMore", string>;

const words = {
  en: {
    title: "Unsubscribe",
    ask: "Do you want no more mail from this sender?",
    button: "Unsubscribe",
    done: "You are unsubscribed",
    doneMore: "This sender’s mail will not reach you any more. You can close this page.",
    unknown: "This link is not valid",
    unknownMore:
      "It may have been cut off on its way. Please open it again from the message, or answer the message.",
  },
  de: {
    title: "Abmelden",
    ask: "Möchten Sie von diesem Absender keine Mails mehr erhalten?",
    button: "Abmelden",
    done: "Sie sind abgemeldet",
    doneMore: "Mails dieses Absenders erreichen Sie nicht mehr. Sie können diese Seite schließen.",
    unknown: "Dieser Link ist ungültig",
    unknownMore:
      "Vielleicht wurde er unterwegs gekürzt. Öffnen Sie ihn bitte noch einmal aus der Mail, oder antworten Sie auf die Mail.",
  },
  fr: {
    title: "Se désabonner",
    ask: "Souhaitez-vous ne plus recevoir de courriels de cet expéditeur ?",
    button: "Se désabonner",
    done: "Vous êtes désabonné",
    doneMore: "Les courriels de cet expéditeur ne vous parviendront plus. Vous pouvez fermer cette page.",
    unknown: "Ce lien n’est pas valable",
    unknownMore:
      "Il a peut-être été tronqué. Ouvrez-le de nouveau depuis le message, ou répondez au message.",
  },
  es: {
    title: "Cancelar la suscripción",
    ask: "¿Desea dejar de recibir correos de este remitente?",
    button: "Cancelar la suscripción",
    done: "Su suscripción está cancelada",
    doneMore: "Ya no recibirá correos de este remitente. Puede cerrar esta página.",
    unknown: "Este enlace no es válido",
    unknownMore: "Puede que se haya cortado. Ábralo de nuevo desde el mensaje, o responda al mensaje.",
  },
  ja: {
    title: "配信停止",
    ask: "この差出人からのメールの配信を停止しますか？",
    button: "配信を停止する",
    done: "配信を停止しました",
    doneMore: "今後、この差出人からのメールは届きません。このページは閉じてかまいません。",
    unknown: "このリンクは無効です",
    unknownMore:
      "リンクが途中で切れている可能性があります。メールからもう一度開くか、メールに返信してください。",
  },
} as const satisfies Record<string, Words>;

export type Language = keyof typeof words;

/** The first language of Accept-Language that there are words for; its weights are in order in every browser. */
export function languageOf(accepted: string): Language {
  for (const range of accepted.slice(0, 200).split(",")) {
    const tag = range.trim().slice(0, 2).toLowerCase();
    if (Object.hasOwn(words, tag)) return tag as Language;
  }
  return "en";
}

const style = `
:root{color-scheme:light dark;--ink:#1c1917;--paper:#fafaf9;--card:#fff;--line:#e7e5e4;--accent:#b45309;--on-accent:#fff}
@media (prefers-color-scheme:dark){:root{--ink:#f5f5f4;--paper:#1c1917;--card:#292524;--line:#44403c;--accent:#fbbf24;--on-accent:#1c1917}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--paper);color:var(--ink);font:1.0625rem/1.6 system-ui,sans-serif}
main{width:100%;max-width:28rem;padding:2.5rem 2rem;background:var(--card);border:1px solid var(--line);border-radius:1rem;text-align:center}
h1{margin:0 0 .75rem;font-size:1.375rem;line-height:1.3}
p{margin:0 0 1rem}
form{margin-top:1.75rem}
button{min-height:3rem;padding:.75rem 1.75rem;border:0;border-radius:.625rem;background:var(--accent);color:var(--on-accent);font:inherit;font-weight:600;cursor:pointer}
button:focus-visible{outline:3px solid var(--ink);outline-offset:3px}
`;

const styleHash = new Bun.CryptoHasher("sha256").update(style).digest("base64");

/** Nothing but the style above and the form's own target. */
export const pagePolicy = [
  "default-src 'none'",
  `style-src 'sha256-${styleHash}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The form posts to the address of the page itself; nothing of the request stands in the page. */
export function unsubscribePage(state: "ask" | "done" | "unknown", language: Language): string {
  const said = words[language];
  const content = {
    ask: `<h1>${said.ask}</h1><form method="post"><button name="confirm" value="yes">${said.button}</button></form>`,
    done: `<h1 role="status">${said.done}</h1><p>${said.doneMore}</p>`,
    unknown: `<h1>${said.unknown}</h1><p>${said.unknownMore}</p>`,
  }[state];
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${said.title}</title>
<style>${style}</style>
</head>
<body><main>${content}</main></body>
</html>
`;
}
