// The page's words, in the browser's language: Japanese where that is preferred, otherwise English.

const EN = {
  skip: "Skip to the question", menu: "Menu", index: "Index", newIndex: "New index", side: "Conversations and documents",
  newChat: "New conversation", conversations: "Conversations", documents: "Documents", drop: "Drop files here, or",
  choose: "choose files", thread: "Answers", welcome: "Ask your documents. Each answer says where it comes from.",
  question: "Question", ask: "Ask a question about your documents", send: "Ask", stop: "Stop", download: "Download",
  close: "Close", pageBefore: "Page before", pageAfter: "Page after", text: "The document", cancel: "Cancel", ok: "OK",
  noModel: "no model: answers quote the documents", token: "This server needs a token", rename: "Rename",
  renameTo: "Name of the conversation", remove: "Delete", exportIt: "Export as Markdown", sure: (n) => `Delete “${n}”?`,
  indexName: "Name of the new index", noDocuments: "No document yet.", noConversations: "None yet.",
  waiting: "waiting", reading: "being read", read: "read", done: "ready", partial: "ready, in part", failed: "failed",
  cancelled: "stopped", uploading: (p) => `Uploading: ${p} %`, ingesting: (d, t) => `Being read: ${d} of ${t}`,
  queued: (n) => (n === 1 ? "One question is before this one." : `${n} questions are before this one.`),
  progress: (d, t) => `Reading: ${d} of ${t} tokens`, thinking: "Looking through the documents…",
  copy: "Copy with sources", copied: "Copied", page: (n) => `page ${n}`, line: (n) => `line ${n}`,
  pageOf: (n, m) => `Page ${n} of ${m}`, asText: "As text", asPage: "As pages", more: "Show more",
  route: "Route", reason: "Why", tokens: "Tokens", seconds: "Seconds", left: "Left out", stopped: "Stopped. This turn is not kept.",
  summary: (route, tokens, seconds) => `${route}, ${tokens} tokens, ${seconds} s`, quoted: "quoted from the documents",
  unsupported: "[?]: no passage supports this sentence.", openPassage: (n, where) => `Passage ${n}: ${where}`,
  because: (plan) => plan.reason, leftOut: ({ kind, name, tokens }) => (kind === "documents" ? `${name} documents not counted` : `${kind === "turn" ? "turn " : ""}${name} (${tokens})`),
  gone: "The connection to the server is lost. Try again.", notOnPage: "The passage is marked in the text.", sources: "Sources",
};

const JA = {
  skip: "質問欄へ移動", menu: "メニュー", index: "インデックス", newIndex: "新しいインデックス", side: "会話と文書",
  newChat: "新しい会話", conversations: "会話", documents: "文書", drop: "ファイルをここにドロップするか、",
  choose: "ファイルを選択", thread: "回答", welcome: "文書に質問してください。回答には出典が付きます。",
  question: "質問", ask: "文書について質問する", send: "質問する", stop: "停止", download: "ダウンロード",
  close: "閉じる", pageBefore: "前のページ", pageAfter: "次のページ", text: "文書", cancel: "キャンセル", ok: "OK",
  noModel: "モデルなし：文書からの引用で回答します", token: "このサーバーにはトークンが必要です", rename: "名前を変更",
  renameTo: "会話の名前", remove: "削除", exportIt: "Markdown で書き出す", sure: (n) => `「${n}」を削除しますか？`,
  indexName: "新しいインデックスの名前", noDocuments: "文書はまだありません。", noConversations: "会話はまだありません。",
  waiting: "待機中", reading: "読み込み中", read: "読み込み済み", done: "完了", partial: "一部のみ完了", failed: "失敗",
  cancelled: "中止", uploading: (p) => `アップロード中：${p}%`, ingesting: (d, t) => `読み込み中：${t} 件中 ${d} 件`,
  queued: (n) => `順番を待っています（前に ${n} 件）。`,
  progress: (d, t) => `読み込み中：${t} トークン中 ${d}`, thinking: "文書を調べています…",
  copy: "出典付きでコピー", copied: "コピーしました", page: (n) => `${n} ページ`, line: (n) => `${n} 行目`,
  pageOf: (n, m) => `${n} / ${m} ページ`, asText: "テキストで表示", asPage: "ページで表示", more: "続きを表示",
  route: "経路", reason: "理由", tokens: "トークン", seconds: "秒", left: "使わなかったもの", stopped: "停止しました。この質問は保存されません。",
  summary: (route, tokens, seconds) => `${route}、${tokens} トークン、${seconds} 秒`, quoted: "文書からの引用",
  unsupported: "[?]：この文を裏付ける箇所は見つかりませんでした。", openPassage: (n, where) => `出典 ${n}：${where}`,
  because: (plan) => plan.reason_ja, leftOut: ({ kind, name, tokens }) => (kind === "documents" ? `数えなかった文書 ${name} 件` : kind === "turn" ? `${name} 番目の会話（${tokens}）` : `${name}（${tokens}）`),
  gone: "サーバーとの接続が切れました。もう一度お試しください。", notOnPage: "該当箇所はテキスト表示で確認できます。", sources: "出典",
};

const japanese = (navigator.languages ?? [navigator.language]).find((each) => /^(ja|en)\b/.test(each))?.startsWith("ja");
const WORDS = japanese ? JA : EN;

export function t(key, ...values) {
  const found = WORDS[key];
  return typeof found === "function" ? found(...values) : found;
}

export function translate() {
  document.documentElement.lang = japanese ? "ja" : "en";
  for (const each of document.querySelectorAll("[data-t]")) each.textContent = t(each.dataset.t);
  for (const each of document.querySelectorAll("[data-label]")) each.setAttribute("aria-label", t(each.dataset.label));
  for (const each of document.querySelectorAll("[data-placeholder]")) each.placeholder = t(each.dataset.placeholder);
}
