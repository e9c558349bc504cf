// The words of scripts. A page in another language than English loads words.TAG.js before this, made of the messages of
// its language. Messages are English, with {names} of values: say("Page {number} of {total}", {number: 1, total: 2}).

(() => {
  const found = globalThis.sealdexWords ?? {};
  const language = found.language ?? "en";
  const messages = new Map(Object.entries(found.messages ?? {}));
  const form = found.form ?? ((n) => Number(n !== 1));

  const filled = (message, values) =>
    message.replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(values, name) ? String(values[name]) : whole));

  globalThis.say = (message, values = {}) => filled(messages.get(message)?.[0] ?? message, values);

  /** A message that counts; {n} is the number as its readers write it. */
  globalThis.sayCount = (one, many, n, values = {}) => {
    const forms = messages.get(one);
    const message = forms ? (forms[form(n)] ?? forms[0]) : n === 1 ? one : many;
    return filled(message, { n: n.toLocaleString(language), ...values });
  };

  /** A day, YYYY-MM-DD or longer, as its readers write it. */
  globalThis.sayDay = (text) => {
    const day = new Date(text);
    if (Number.isNaN(day.getTime())) return text;
    return new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, { dateStyle: "long", timeZone: "UTC" }).format(day);
  };

  /** Bytes as pages write them: powers of 1,000. */
  globalThis.saySize = (bytes) => {
    if (bytes < 1000) return sayCount("{n} byte", "{n} bytes", bytes);
    const power = Math.min(4, Math.floor(Math.log10(bytes) / 3));
    const value = bytes / 1000 ** power;
    const digits = value < 100 ? 1 : 0;
    const number = value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return `${number} ${["", "KB", "MB", "GB", "TB"][power]}`;
  };
})();
