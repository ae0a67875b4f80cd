// One question with its answer: the text as it comes, marks that open a passage, and how it was answered.

import { byId, element } from "./dialog.js";
import { open } from "./viewer.js";
import { t } from "./words.js";

const MARK = /\[(\d+)\]/g;

const place = (citation) => (citation.page !== null ? t("page", citation.page) : t("line", citation.line));

// Everything that comes from documents and models goes in as text, never as HTML.
export class Turn {
  constructor(index, question) {
    this.index = index;
    this.raw = "";
    this.text = element("div", { class: "answer working" });
    this.status = element("p", { class: "status", textContent: t("thinking") });
    this.end = element("div");
    this.box = element(
      "article", { class: "turn" },
      element("h2", { class: "asked", textContent: question }), this.text, this.status, this.end,
    );
    byId("thread").append(this.box);
    byId("welcome").hidden = true;
    this.box.scrollIntoView({ block: "end" });
  }

  event({ name, data }) {
    if (name === "queued") this.status.textContent = t("queued", data.value);
    if (name === "progress") this.status.textContent = t("progress", data.done, data.total);
    if (name === "piece") this.piece(data.text);
    if (name === "answer") this.finish(data);
    if (name === "error") this.fail(data.error.message);
  }

  piece(text) {
    const thread = byId("thread");
    const follows = thread.scrollHeight - thread.scrollTop - thread.clientHeight < 80;
    this.raw += text;
    this.status.textContent = "";
    this.text.append(text);
    if (follows) thread.scrollTop = thread.scrollHeight;
  }

  fail(message) {
    this.text.classList.remove("working");
    this.status.textContent = message;
    this.status.setAttribute("role", "alert");
  }

  finish(answer) {
    this.text.classList.remove("working");
    this.status.textContent = answer.unsupported.length && !answer.refused ? t("unsupported") : "";
    const cited = new Map(answer.citations.map((citation) => [citation.number, citation]));
    this.text.replaceChildren(...this.parts(answer.text, cited));
    const sources = element("ul", { class: "sources" });
    sources.setAttribute("aria-label", t("sources"));
    for (const citation of answer.citations) {
      const where = `${citation.source}, ${place(citation)}`;
      sources.append(element("li", {}, this.opener(citation, `[${citation.number}] ${where}`)));
    }
    const copy = element("button", { type: "button", class: "quiet", textContent: t("copy") });
    copy.addEventListener("click", () => this.copy(answer, copy));
    this.end.replaceChildren(...(answer.citations.length ? [sources] : []), how(answer), element("div", { class: "bar" }, copy));
  }

  parts(text, cited) {
    const parts = [];
    let from = 0;
    for (const found of text.matchAll(MARK)) {
      const citation = cited.get(Number(found[1]));
      if (!citation) continue;
      const button = this.opener(citation, found[0]);
      button.classList.add("mark");
      button.setAttribute("aria-label", t("openPassage", citation.number, `${citation.source}, ${place(citation)}`));
      parts.push(text.slice(from, found.index), button);
      from = found.index + found[0].length;
    }
    return [...parts, text.slice(from)];
  }

  opener(citation, text) {
    return element("button", { type: "button", textContent: text, title: citation.text.slice(0, 300), on: { click: () => open(this.index, citation) } });
  }

  async copy(answer, button) {
    const sources = answer.citations.map((each) => `[${each.number}] ${each.source}, ${place(each)}`);
    await navigator.clipboard.writeText([answer.text, "", ...sources].join("\n"));
    button.textContent = t("copied");
    setTimeout(() => (button.textContent = t("copy")), 2000);
  }
}

// One quiet line that opens: the route and why, tokens and seconds, what was left out.
function how(answer) {
  const { plan, usage } = answer;
  const tokens = (usage.prompt_tokens + usage.completion_tokens).toLocaleString();
  const line = plan ? t("summary", plan.route, tokens, usage.seconds.toFixed(1)) : t("quoted");
  const rows = plan
    ? [
        [t("route"), plan.route], [t("reason"), t("because", plan)], [t("tokens"), `${usage.prompt_tokens} + ${usage.completion_tokens}`],
        [t("seconds"), `${usage.first_token_seconds.toFixed(1)} / ${usage.seconds.toFixed(1)}`],
        [t("left"), plan.left_out.map((each) => t("leftOut", each)).join(", ") || "-"],
      ]
    : [[t("seconds"), usage.seconds.toFixed(1)]];
  const table = element("tbody");
  for (const [name, value] of rows) table.append(element("tr", {}, element("td", { textContent: name }), element("td", { textContent: value })));
  return element("details", {}, element("summary", { textContent: line }), element("table", {}, table));
}
