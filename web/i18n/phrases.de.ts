import type { PhraseKind } from "@tyto/contracts";

/** Tyto's own sentences in German; the English ones are `phrases` of the contract, with the same places. */
export const germanPhrases: Readonly<Record<PhraseKind, string>> = {
  "flow.held": "angehalten von {by}: {why}",
  "flow.held-at": "bei {site} angehalten von {by}: {why}",
  "flow.none-may-send": "keine Adresse darf jetzt {traffic} senden",
  "flow.none-of-pool": "keine Adresse des Pools {pool} darf das jetzt senden",
  "flow.pool-left-alone": "keine Adresse des Pools {pool} darf dort jetzt senden",
  "flow.pool-may-not-send": "keine Adresse des Pools {pool} darf jetzt {traffic} senden",
  "flow.left-alone": "{egress} lässt das Ziel in Ruhe: {why}",
  "flow.no-traffic": "keine {traffic} ({why})",
  "flow.switched":
    "was von {egress} ausging, geht bis {time} UTC über den Pool {pool}, nach der Regel {rule}: {why}",
  "flow.stays":
    "was von {egress} ausgeht, soll bis {time} UTC über den Pool {pool} gehen, nach der Regel {rule}, bleibt aber ({stays}): {why}",
  "flow.no-pool": "es gibt keinen Pool {pool}",
  "flow.no-egress": "es gibt keine Adresse {egress}",
  "flow.sends-by": "{egress} soll über {pool} senden",
  "flow.out-of-pool": "{egress} ist aus dem Pool genommen: {why}",
  "flow.everything-held": "aller Versand ist angehalten von {by}: {why}",
  "flow.scope-held-at": "{scope} {id} ist bei {site} angehalten von {by}: {why}",
  "flow.scope-held": "{scope} {id} ist angehalten von {by}: {why}",

  "wait.put-off": "die letzte wurde aufgeschoben: {why}",
  "wait.no-way": "es gibt noch keinen Weg: {why}",
  "wait.turn": "wartet, bis sie an der Reihe ist: {why}",
  "wait.slow": "der Server lässt sich Zeit: {count} im Versand, und keine Antwort innerhalb einer Minute",

  "wait.at": "{count} für {site}: {why}",
  "port.closed":
    "der ausgehende Port 25 scheint gesperrt zu sein: keiner von {count} Mailservern antwortet {egress} dort, und seit dem Start des mta hat es noch keiner getan ({why}). Die meisten Clouds und Hausanschlüsse sperren ihn: Bitte den Anbieter, ihn zu öffnen, oder sende über ein Relay (EMAIL_PROVIDER=smtp oder TYTO_ROUTES) oder einen Proxy (MTA_EGRESS_FILE)",

  "flow.suspended": "ausgesetzt",
  "flow.is-held": "angehalten",

  "rate.minute": "höchstens {count} Nachrichten pro Minute",
  "rate.second": "höchstens {count} Nachrichten pro Sekunde",
  "rate.minute-since": "höchstens {count} Nachrichten pro Minute, denn: {why}",
  "rate.second-since": "höchstens {count} Nachrichten pro Sekunde, denn: {why}",
  "rate.since": "denn: {why}",
  "limit.in-force-because": "höchstens {most}, gesetzt von {by} bis {time} UTC: {why}",
  "limit.in-force": "höchstens {most}, gesetzt von {by} bis {time} UTC",
  "limit.rate-and-connection": "{rate} und {count} Verbindung",
  "limit.rate-and-connections": "{rate} und {count} Verbindungen",
  "limit.set-because": "gesetzt von {by} bis {time} UTC: {why}",
  "limit.set": "gesetzt von {by} bis {time} UTC",
  "limit.connection": "{count} Verbindung",
  "limit.connections": "{count} Verbindungen",
  "ceiling.rate":
    "{site} bekommt von einer Adresse höchstens {max} Nachrichten je Minute, und {rate} ist mehr",
  "ceiling.connections":
    "{site} bekommt von einer Adresse höchstens {max} Verbindungen, und {connections} ist mehr",
  "rate.asks": "eine Nachricht fragt, ob das vorbei ist: {why}",
  "rate.other-asks": "ein anderer Prozess fragt, ob das vorbei ist: {why}",
  "rate.others-have": "andere Prozesse haben alles, was es annimmt",

  "warming.day": "Tag {day} von {days}",
  "warming.used": "{used} von {cap} verbraucht",
  "warming.used-only": "{used} verbraucht",
  "warming.slowed": "verlangsamt: {fault}",
  "warming.only-slowed": "verlangsamt",
  "warming.paused": "pausiert bis {date}: {fault}",
  "warming.halted": "angehalten bis {date}: {fault}",
  "warming.set-back-halt": "zurückgesetzt von Tag {day} nach einem Halt",
  "warming.set-back": "zurückgesetzt von Tag {day}: {fault}",
  "warming.unused": "noch am selben Tag, weil am Vortag nur {used} von {cap} verbraucht wurden",
  "warming.quicker": "schneller, weil Tag {day} gut lief",
  "warming.not-yet": "noch nicht warm: {fault}",
  "warming.warm": "warm",
  "warming.sent": "{used} an {provider}",
  "warming.placed": "Tag {day} von {days}, {used} von {cap} verbraucht: {why}",
  "warming.placed-halted": "Tag {day} von {days}, {used} verbraucht: {why}",
  "warming.midnight": "die nächsten gehen nach Mitternacht UTC",
  "warming.provider-had": "{provider} hat die {cap} für heute bekommen",
  "warming.is-slowed": "verlangsamt",
  "warming.no-bulk": "keine Massenpost an {provider}",
  "warming.reserve-provider": "der Rest für {provider} bleibt für Transaktionspost",
  "warming.reserve": "der Rest von heute bleibt für Transaktionspost",
  "warming.spread": "Massenpost wird über den Tag verteilt, bis jetzt {out} von {max}",
  "warming.transactional-first": "Transaktionspost wartet und geht vor",
  "warming.quick": "andere waren schneller",
  "warming.counting": "andere Prozesse zählen gerade",
  "fault.of-all.deferred": "{share} wurden aufgeschoben",
  "fault.of-all.complained": "über {share} gab es Beschwerden",
  "fault.of-all.bounced": "{share} waren unzustellbar",
  "fault.deferred": "{share} aufgeschoben",
  "fault.bounced": "{share} unzustellbar",
  "fault.complained": "Beschwerden über {share}",
  "fault.provider.deferred": "bei {provider} {share} aufgeschoben",
  "fault.provider.bounced": "bei {provider} {share} unzustellbar",
  "fault.provider.complained": "bei {provider} Beschwerden über {share}",

  "breaker.complaints":
    "{complained} Beschwerden über die letzten {sent} Nachrichten (höchstens {complainedMax} über {sentMax}): finden Sie heraus, wer diese Post nicht wollte",
  "breaker.bounces":
    "{bounced} der letzten {sent} Empfänger gibt es nicht (höchstens {bouncedMax} von {sentMax}): prüfen Sie, woher die Adressen kommen",
  "breaker.trial": "auf Probe, nachdem angehalten war",

  "check.address": "{ip} ist eine Adresse dieses Rechners",
  "check.no-address": "{ip} ist keine Adresse dieses Rechners",
  "check.no-hostname": "MAIL_HOSTNAME ist nicht gesetzt: der Name sagt anderen nichts",
  "check.ehlo-unknown": "{name}, unser Name im EHLO, hat keine Adresse im DNS",
  "check.ehlo-other": "{name}, unser Name im EHLO, hat nicht die Adresse {ip}",
  "check.private": "{ip} ist eine private Adresse: was andere davon sehen, ist hier nicht bekannt",
  "check.no-name":
    "{ip} hat keinen Namen: wer Ihnen die Adresse gibt, soll ihren PTR-Eintrag auf {name} setzen",
  "check.other-name": "{ip} heißt {names}, und dort steht diese Adresse nicht",
  "check.port-open": "Mailserver antworten an Port 25",
  "check.names": "{ip} ist {name}, und umgekehrt",
  "check.listed": "{zone} führt {ip} ({codes})",
  "check.not-listed": "{zone} führt {ip} nicht",
  "check.list-silent": "{zone} sagt nichts: {why}",
  "check.list-unnamed": "es kennt den Namen dieser Liste nicht",
  "check.list-refuses":
    "es antwortet öffentlichen Resolvern nicht; setzen Sie TYTO_DNS_SERVERS auf einen eigenen",
  "check.list-busy": "es bekam zu viele Fragen von diesem Resolver",
  "check.list-untrue": "es führt seine eigene Testadresse nicht",
  "check.list-all": "es führt alles",
  "check.dns-silent": "Das DNS gab keine Auskunft: {error}",

  "path.no-name": "{domain} kann kein Name im DNS sein",
  "path.unknown": "{domain} gibt es im DNS nicht",
  "path.null-mx": "{domain} veröffentlicht einen leeren MX-Eintrag (RFC 7505)",
  "path.loop": "der beste Mailserver von {domain} sind wir selbst, {host}",
  "path.dns": "Das DNS gab über {domain} keine Auskunft: {error}",
  "path.no-address": "der Mailserver {host} hat keine Adresse im DNS",
  "path.private":
    "der Mailserver {host} hat die private Adresse {ip}; ist sie gemeint, kann TYTO_ROUTES sie nennen",

  "session.plain": "{name} [{ip}] bietet nicht an, die Sitzung zu verschlüsseln",
  "session.no-tls": "kein TLS mit {name} [{ip}]: {why}",
  "session.takes-none": "{name} [{ip}] nimmt im Moment keine Post an",
  "session.not-begun": "{name} [{ip}] begann keine Sitzung: {why}",
  "session.failed-late":
    "die Sitzung mit {name} [{ip}] scheiterte, nachdem die ganze Nachricht gesendet war; sie kann angekommen sein: {why}",
  "session.failed": "die Sitzung mit {name} [{ip}] scheiterte: {why}",
  "session.closed": "{name} [{ip}] hatte die Sitzung beendet",
  "session.untrusted": "{name} [{ip}] wird nicht vertraut: {why}",
  "session.unauthenticated": "keine Anmeldung bei {name} [{ip}]: {why}",
  "session.unreachable": "keine Verbindung zu {name} [{ip}]:{port}: {why}",

  "policy.floor": "Der Betreiber will jede Sitzung {floor}",
  "policy.servers": "Mailserver: {hosts}",
  "policy.back": "Die Domain hat ihre Regel zurückgenommen",
  "policy.waits": "Post wartet: {why}",
  "policy.match": "{host} muss zu {records} passen",
  "policy.encrypt": "{host} muss verschlüsseln; keiner seiner Einträge ist für SMTP zu gebrauchen: {records}",
  "policy.none": "Zählt als keine: {why}",

  "inbound.opt-out-report": "{claim}, der Art Abmeldung",
  "inbound.not-read": "zu tief verschachtelt, oder mehr Kopfzeilen, als gelesen werden",
  "inbound.report": "ein Zustellbericht",
  "inbound.no-message": "{claim}, der keine Nachricht von uns nennt",
  "inbound.no-path": "{claim}, der an keinen Rückweg von uns kam",
  "inbound.not-ours": "{claim} über {domains}, keine Domain von uns",
  "inbound.not-now": "{claim} über eine Zeit, die nicht jetzt ist",
  "inbound.complaint": "ein Beschwerdebericht im Format {format}",
  "inbound.tls-file": "ein TLS-Bericht, dessen Datei {problem}",
  "inbound.tls-unread": "ein TLS-Bericht, der nicht zu lesen ist: {why}",
  "inbound.tls-empty": "ein TLS-Bericht ohne seine Datei",
  "inbound.dmarc-file": "ein DMARC-Bericht, dessen Datei {problem}",
  "inbound.dmarc-unread": "ein DMARC-Bericht, der nicht zu lesen ist: {why}",
  "inbound.tls": "ein TLS-Bericht",
  "inbound.dmarc": "ein DMARC-Bericht",
  "inbound.challenge": "eine Rückfrage von {system}",
  "inbound.auto-reply": "eine automatische Antwort, erkannt an {sign}",
  "sign.header": "der Kopfzeile {name}",
  "sign.subject": "ihrem Betreff",
  "sign.first-words": "ihren ersten Worten",
  "inbound.references": "eine Antwort, wie ihre Verweise sagen",
  "inbound.no-answer": "eine Nachricht, die auf nichts antwortet",
  "inbound.opt-out-address": "kam an die Adresse für Abmeldungen",
  "inbound.own-words": "ein Bericht in eigenen Worten",
  "inbound.empty-path": "hat den leeren Rückweg von Berichten und ist keiner, den wir kennen",
  "inbound.nothing-ours": "antwortet auf nichts, was wir gesendet haben",
  "inbound.names-ours": "nennt eine Nachricht von uns",
  "inbound.our-path": "kam an einen Rückweg von uns",
  "file.damaged": "beschädigt ist ({code})",
  "file.cut": "abgeschnitten ist",
  "file.encrypted": "verschlüsselt ist",
  "file.large": "entpackt mehr als {max} Bytes ergibt",
  "file.no-directory": "eine ZIP-Datei ohne Verzeichnis ist",
  "file.many": "mehr als {max} Dateien enthält",
  "file.bad-directory": "eine ZIP-Datei mit beschädigtem Verzeichnis ist",
  "file.not-one": "{count} Dateien statt einer enthält",
  "file.bad-entry": "eine ZIP-Datei mit einem beschädigten Eintrag ist",
  "file.method": "das Kompressionsverfahren {method} verwendet",

  "given-up": "vom Betreiber aufgegeben: {why}",
  "loop.ended": "zehn Minuten sind um",
  "provider.others": "andere Anbieter",
  attempts: "{about} ({matched} von {tried} Versuchen)",
  times: "{about} ({count}-mal)",
  answered: "{say} ({code} {reply})",
  "rule.action": "{action} {site}: {why}",
  rule: "{about}: {code} {reply}",
  "of-egress": "{egress}: {why}",
};

/** Words at places that take one of a few. */
export const germanTerms: Readonly<Record<string, string>> = {
  bulk: "Massenpost",
  transactional: "Transaktionspost",
  campaign: "die Kampagne",
  organization: "die Organisation",
  site: "das Ziel",
  domain: "die Domain",
  encrypted: "verschlüsselt",
  verified: "verschlüsselt und geprüft",
  "suspend-site": "Versand aussetzen an",
  "slow-site": "verlangsamen",
  "hold-organization": "Organisation anhalten wegen",
  "hold-organization-at-site": "Organisation anhalten bei",
  "hold-campaign-at-site": "Kampagne anhalten bei",
  "hold-campaign": "Kampagne anhalten wegen",
  bounce: "aufgeben an",
  "switch-pool": "anderer Pool an",
  Mar: "März",
  May: "Mai",
  Oct: "Okt",
  Dec: "Dez",
};

/** What the rules that are shipped find, by the English words in the rule: somebody's own rule speaks for itself. */
export const germanRules: Readonly<Record<string, string>> = {
  "The receiver has too many connections of this address":
    "Dem Empfänger sind es zu viele Verbindungen von dieser Adresse",
  "The receiver puts everything off because the address has no reverse DNS":
    "Der Empfänger schiebt alles auf, weil die Adresse kein Reverse-DNS hat",
  "The receiver refuses the name that we say in EHLO":
    "Der Empfänger lehnt den Namen ab, den wir im EHLO nennen",
  "The receiver cannot find the sender's domain": "Der Empfänger findet die Domain des Absenders nicht",
  "The receiver says that trying again will not help":
    "Der Empfänger sagt, dass ein neuer Versuch nichts nützt",
  "iCloud refuses the message by its content or links":
    "iCloud lehnt die Nachricht wegen Inhalt oder Links ab",
  "iCloud refuses mail by the DMARC policy of the sender's own domain":
    "iCloud lehnt Post nach der DMARC-Regel der Absenderdomain ab",
  "iCloud takes no mail from this address because of its reputation":
    "iCloud nimmt von dieser Adresse wegen ihres Rufs keine Post",
  "iCloud takes fewer messages or connections from this address":
    "iCloud will weniger Nachrichten oder Verbindungen von dieser Adresse",
  "AT&T has this address on its block list": "AT&T hat diese Adresse auf der Sperrliste",
  "Barracuda blocks this address by its reputation": "Barracuda sperrt diese Adresse wegen ihres Rufs",
  "The receiver finds this address on a list of Spamhaus":
    "Der Empfänger findet diese Adresse auf einer Liste von Spamhaus",
  "The receiver finds this address on the list of SpamCop":
    "Der Empfänger findet diese Adresse auf der Liste von SpamCop",
  "The receiver blocks this address by Cloudmark": "Der Empfänger sperrt diese Adresse nach Cloudmark",
  "The receiver finds this address on a list of Abusix":
    "Der Empfänger findet diese Adresse auf einer Liste von Abusix",
  "The receiver names a block list that has this address":
    "Der Empfänger nennt eine Sperrliste, auf der diese Adresse steht",
  "This address is listed: mail to the receiver leaves from another pool":
    "Diese Adresse steht auf einer Liste: Post an den Empfänger geht über einen anderen Pool",
  "Spectrum blocks this address": "Spectrum sperrt diese Adresse",
  "Cisco Talos gives this address a poor reputation":
    "Bei Cisco Talos hat diese Adresse einen schlechten Ruf",
  "A Cisco gateway takes no more recipients this hour":
    "Ein Cisco-Gateway nimmt in dieser Stunde keine Empfänger mehr an",
  "Comcast finds this address on block lists": "Comcast findet diese Adresse auf Sperrlisten",
  "Comcast limits how much this address may send": "Comcast begrenzt, wie viel diese Adresse senden darf",
  "Comcast has too many sessions of this address": "Comcast sind es zu viele Sitzungen von dieser Adresse",
  "Comcast refuses mail because the address has no reverse DNS":
    "Comcast lehnt Post ab, weil die Adresse kein Reverse-DNS hat",
  "Cox blocks this address": "Cox sperrt diese Adresse",
  "Cox has too many connections of this address": "Cox sind es zu viele Verbindungen von dieser Adresse",
  "Free takes the message for spam": "Free hält die Nachricht für Spam",
  "Free takes nothing from this address because of earlier errors":
    "Free nimmt wegen früherer Fehler nichts von dieser Adresse",
  "Gmail limits this address because of unsolicited mail":
    "Gmail begrenzt diese Adresse wegen unerwünschter Post",
  "Gmail puts mail off because the address has no matching reverse DNS":
    "Gmail schiebt Post auf, weil die Adresse kein passendes Reverse-DNS hat",
  "Gmail puts mail off because it did not come over TLS":
    "Gmail schiebt Post auf, weil sie nicht über TLS kam",
  "Gmail puts mail off or refuses it because SPF and DKIM do not pass":
    "Gmail schiebt Post auf oder lehnt sie ab, weil SPF und DKIM nicht bestehen",
  "Gmail blocks mail because of the reputation of this address":
    "Gmail sperrt Post wegen des Rufs dieser Adresse",
  "Gmail blocks mail because of the reputation of the sender's domain":
    "Gmail sperrt Post wegen des Rufs der Absenderdomain",
  "Gmail takes the message for unsolicited mail": "Gmail hält die Nachricht für unerwünscht",
  "Gmail refuses mail because the address has no matching reverse DNS":
    "Gmail lehnt Post ab, weil die Adresse kein passendes Reverse-DNS hat",
  "La Poste wants fewer messages or connections": "La Poste will weniger Nachrichten oder Verbindungen",
  "Libero takes no mail from this address because of its reputation":
    "Libero nimmt von dieser Adresse wegen ihres Rufs keine Post",
  "Mail.ru takes the message for spam": "Mail.ru hält die Nachricht für Spam",
  "Mail.ru limits how much this address may send": "Mail.ru begrenzt, wie viel diese Adresse senden darf",
  "Mail.ru blocks this address": "Mail.ru sperrt diese Adresse",
  "Outlook has this address or its network on its block list":
    "Outlook hat diese Adresse oder ihr Netz auf der Sperrliste",
  "Microsoft 365 has banned this address": "Microsoft 365 hat diese Adresse gesperrt",
  "Microsoft has banned this sender": "Microsoft hat diesen Absender gesperrt",
  "Outlook limits this address because of its reputation": "Outlook begrenzt diese Adresse wegen ihres Rufs",
  "Outlook limits this address, which it does not know well":
    "Outlook begrenzt diese Adresse, weil es sie noch wenig kennt",
  "Outlook takes no more of this address this hour or day":
    "Outlook nimmt in dieser Stunde oder an diesem Tag nichts mehr von dieser Adresse",
  "Exchange Online asks this address to slow down": "Exchange Online will es von dieser Adresse langsamer",
  "Exchange Online has too many deliveries to one recipient under way":
    "Exchange Online sind es zu viele gleichzeitige Zustellungen an einen Empfänger",
  "Exchange Online has too many connections of this sender":
    "Exchange Online sind es zu viele Verbindungen von diesem Absender",
  "Microsoft refuses mail because the sender's domain is not authenticated":
    "Microsoft lehnt Post ab, weil die Absenderdomain nicht authentifiziert ist",
  "Microsoft takes the message for spam": "Microsoft hält die Nachricht für Spam",
  "Mimecast blocks this address by its reputation": "Mimecast sperrt diese Adresse wegen ihres Rufs",
  "Mimecast has no room for more now": "Mimecast hat gerade keinen Platz für mehr",
  "NetEase takes the message for spam": "NetEase hält die Nachricht für Spam",
  "NetEase limits how often this address may send": "NetEase begrenzt, wie oft diese Adresse senden darf",
  "Orange takes no mail from this address because of its reputation":
    "Orange nimmt von dieser Adresse wegen ihres Rufs keine Post",
  "Orange has too many connections of this address":
    "Orange sind es zu viele Verbindungen von dieser Adresse",
  "Orange limits how much this address may send": "Orange begrenzt, wie viel diese Adresse senden darf",
  "Proofpoint blocks this address by its dynamic reputation":
    "Proofpoint sperrt diese Adresse nach ihrem laufend bewerteten Ruf",
  "QQ limits how often this address, domain or sender may send":
    "QQ begrenzt, wie oft diese Adresse, Domain oder dieser Absender senden darf",
  "QQ refuses the message for its content": "QQ lehnt die Nachricht wegen ihres Inhalts ab",
  "QQ takes no connections from this address": "QQ nimmt keine Verbindungen von dieser Adresse",
  "T-Online takes nothing from an address that it does not know or trust":
    "T-Online nimmt nichts von einer Adresse, die es nicht kennt oder der es nicht traut",
  "T-Online has too many connections of this address":
    "T-Online sind es zu viele Verbindungen von dieser Adresse",
  "GMX and WEB.DE have this address on a block list":
    "GMX und WEB.DE haben diese Adresse auf einer Sperrliste",
  "GMX and WEB.DE take nothing from an address without proper reverse DNS":
    "GMX und WEB.DE nehmen nichts von einer Adresse ohne richtiges Reverse-DNS",
  "GMX and WEB.DE limit what this address may send":
    "GMX und WEB.DE begrenzen, was diese Adresse senden darf",
  "GMX and WEB.DE refuse the message for its content":
    "GMX und WEB.DE lehnen die Nachricht wegen ihres Inhalts ab",
  "Yahoo puts off everything from this address for good":
    "Yahoo schiebt alles von dieser Adresse dauerhaft auf",
  "Yahoo puts mail off because of volume or complaints":
    "Yahoo schiebt Post wegen der Menge oder wegen Beschwerden auf",
  "Yahoo limits this address because of complaints": "Yahoo begrenzt diese Adresse wegen Beschwerden",
  "Yahoo takes no connections from this address, which is on a block list":
    "Yahoo nimmt keine Verbindungen von dieser Adresse, die auf einer Sperrliste steht",
  "Yahoo refuses everything from this address for good": "Yahoo lehnt alles von dieser Adresse dauerhaft ab",
  "Yahoo takes the message for phishing": "Yahoo hält die Nachricht für Phishing",
  "Yahoo refuses mail for reasons of policy: authentication, content or links":
    "Yahoo lehnt Post nach seinen Regeln ab: Authentifizierung, Inhalt oder Links",
  "Yahoo has no resources for more from this address now":
    "Yahoo hat gerade keine Mittel für mehr von dieser Adresse",
  "Yandex takes the message for spam": "Yandex hält die Nachricht für Spam",
  "Yandex limits how much this address may send": "Yandex begrenzt, wie viel diese Adresse senden darf",
};
