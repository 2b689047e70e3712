// Everything the page says, in English and Chinese.

import { store, stored } from "./dom.js";

const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

const EN = {
  title: "OCR: the text of your scans",
  headline: "Drop a scan, take the text.",
  lead:
    "Pictures and PDFs in; Chinese and English text out, " +
    "each line with its place on the page and how sure the reading is.",
  dropHere: "Drop pictures or PDFs here",
  giveHere: "Choose pictures or PDFs, or take a photo",
  dropMore: "or paste a picture with Ctrl + V; many files at once are fine",
  dropNow: "Let go to read",
  choose: "Choose files",
  add: "Add files",
  photograph: "Take a photo",
  sample: "Try a sample",
  pastedName: "pasted",
  intake: "Files to read",
  files: "Files",
  clear: "Remove all",
  formatsTaken: (formats, size) => `Reads ${formats}. Up to ${size} a file.`,
  privacy: "Your files go to this server and to nobody else.",
  noteCheck: "Check",
  noteCheckText: "Every line leads to its place in the picture. What was hard to read is marked.",
  noteTake: "Take",
  noteTakeText: "Copy the text, or save it as Markdown, JSON, hOCR, ALTO or a searchable PDF.",
  noteKeys: "Keys",
  noteKeysText: "↑ ↓ go through the lines, ← → through the pages. Esc lets go.",

  docs: "API docs",
  capabilities: "Server",
  capabilitiesTitle: "What this server runs and takes",
  otherLanguage: "中文",
  toOtherLanguage: "中文：切换到中文",
  key: "Key",
  keyHelp: "This server asks for a key. It is forgotten when you close the tab.",
  keyWrong: "The server does not know this key. Is it complete?",
  keyUse: "Use the key",
  theme: { system: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" },

  options: "Options",
  pages: "Pages",
  pagesHelp: "Of a PDF or TIFF, such as 1-5,8 or 3-. Empty: all of them.",
  pagesWrong: "This is no list of pages. Write it like 1-5,8 or 3-.",
  dpi: "Resolution of PDF pages",
  dpiHelp: "Dots per inch, 50 to 600. More for small print; it takes longer.",
  dpiWrong: "A whole number from 50 to 600.",
  pdfText: "Text that a PDF has already",
  pdfAuto: "Decide by page",
  pdfAutoHelp: "Takes text that was typed, reads what was scanned.",
  pdfKeep: "Keep it",
  pdfKeepHelp: "Takes whatever text there is; reads only pages without any.",
  pdfIgnore: "Ignore it",
  pdfIgnoreHelp: "Reads every page from its picture. For PDFs with poor text in them.",
  again: "Read this file again",
  optionsNote: "For files that you add from now on.",

  waiting: "Waiting",
  sending: (share) => `Sending, ${Math.floor(share * 100)} %`,
  reading: "Reading …",
  queued: "Waiting for its turn at the server …",
  readingPage: (page, count) => `Page ${page} of ${count}`,
  fetching: (share) => `Fetching the result, ${Math.floor(share * 100)} %`,
  busy: (seconds) => `The server is busy. Next try in ${seconds} s`,
  limited: (seconds) => `The server takes no more files from you in this minute. Next try in ${seconds} s`,
  cancelled: "Cancelled",
  cancel: "Cancel",
  cancelFile: (name) => `Cancel ${name}`,
  remove: (name) => `Remove ${name}`,
  retry: "Try again",
  retryFile: (name) => `Try ${name} again`,
  progressOf: (name) => `Progress of ${name}`,
  readResult: (pages, lines) =>
    (pages === 1 ? "" : `${pages} pages, `) + plural(lines, "line", "lines"),
  announceRead: (name, lines) => `${name} is read: ${plural(lines, "line", "lines")}`,
  announcePages: (name, read, count) => `${name}: ${read} of ${count} pages are read`,
  announceFailed: (name, why) => `${name} could not be read. ${why}`,

  picture: "Picture",
  pictureOf: (number, name) => `Page ${number} of ${name}`,
  text: "Text",
  page: "Page",
  pageOf: (last) => `of ${last}`,
  pageAmong: (place, count) => `(${place} of ${count} read)`,
  pagePrevious: "Previous page",
  pageNext: "Next page",
  zoomIn: "Larger",
  zoomOut: "Smaller",
  zoomFit: "Fit width or whole page",
  lines: (count) => plural(count, "line", "lines"),
  copyAll: "Copy all",
  copyPage: "Copy page",
  copyLine: "Copy line",
  copied: "Copied",
  copyFailed: "The browser forbids copying",
  noText: "There is no text on this page.",
  textLayer: "This text was in the PDF already; it was not read from the picture.",
  legend: "How sure the reading is",
  check: "look again",
  doubtful: "doubtful",
  nextDoubt: (count) => `${count} to check: next`,
  confidence: (value) => `${value} sure`,

  download: "Download",
  downloadText: "Plain text",
  downloadMarkdown: "Markdown",
  downloadPdf: "Searchable PDF",
  downloadJson: "JSON, with places",
  downloadHocr: "hOCR",
  downloadAlto: "ALTO XML",
  downloadPng: "This page as a picture, lines drawn in",
  downloadNote: "The file is sent again and answered in that format.",
  making: (format) => `${format}: being made …`,
  makingAt: (format, what) => `${format}: ${what}`,
  saved: (name) => `Saved ${name}`,
  dismiss: "Close this note",

  failed: "This file could not be read",
  errors: {
    NETWORK: "The server cannot be reached. Is it running, and are you online?",
    HTTP: "Something between you and the server answered instead of it.",
    BAD_REQUEST: "The server does not understand the request. Check the options.",
    NOT_AN_IMAGE: "This is no picture and no PDF that can be read here.",
    UNSUPPORTED_MEDIA_TYPE: "This is no picture and no PDF that can be read here.",
    IMAGE_DAMAGED: "The file is broken or cut off.",
    PDF_ENCRYPTED: "The PDF is locked. Save it without a password, then try again.",
    NO_PAGES: "There is no page in this file.",
    PAGES_OUT_OF_RANGE: "The file has none of the pages that Options names.",
    IMAGE_TOO_LARGE: "The file or one of its pages is too large for this server.",
    REQUEST_TOO_LARGE: "The file is too large for this server.",
    UNAUTHORIZED: "The server asks for a key. Type it at the top of the page.",
    RATE_LIMITED: "The server takes only so many files a minute. Try again in a minute.",
    BUSY: "The server has too much to do at the moment. Try again a little later.",
    NOT_READY: "The server is not ready yet. Try again a little later.",
    UPLOAD_TIMEOUT: "Sending took longer than the server allows. Try again.",
    DISK_FULL: "The server has no room left for the file.",
    TIMEOUT: "Reading took longer than the server allows. Choose fewer pages under Options.",
    JOB_UNKNOWN: "The server has dropped this file meanwhile. Try again.",
    INFERENCE_FAILED: "The server failed at this file.",
    INTERNAL_ERROR: "The server failed at this file.",
    other: "The server refused this file.",
  },
};

const ZH = {
  title: "OCR：扫描件里的文字",
  headline: "放入扫描件，取走文字。",
  lead: "图片和 PDF 进来，中英文文字出去：每一行都标出它在页面上的位置，以及识别的把握有多大。",
  dropHere: "把图片或 PDF 拖到这里",
  giveHere: "选择图片或 PDF，也可以直接拍照",
  dropMore: "也可以按 Ctrl + V 粘贴图片，一次可放多个文件",
  dropNow: "松手即可识别",
  choose: "选择文件",
  add: "添加文件",
  photograph: "拍照",
  sample: "试试示例",
  pastedName: "粘贴",
  intake: "要识别的文件",
  files: "文件",
  clear: "全部移除",
  formatsTaken: (formats, size) => `支持 ${formats}，每个文件不超过 ${size}。`,
  privacy: "您的文件只会发送到这台服务器，不会交给别人。",
  noteCheck: "核对",
  noteCheckText: "每行文字都与图片上的位置对应，不易辨认的地方会标出来。",
  noteTake: "取用",
  noteTakeText: "复制文字，或保存为纯文本、Markdown、JSON、hOCR、ALTO、可搜索的 PDF。",
  noteKeys: "按键",
  noteKeysText: "↑ ↓ 逐行移动，← → 翻页，Esc 取消选择。",

  docs: "API 文档",
  capabilities: "服务器",
  capabilitiesTitle: "这台服务器运行的模型与限制",
  otherLanguage: "English",
  toOtherLanguage: "English: switch to English",
  key: "密钥",
  keyHelp: "这台服务器需要密钥。关闭标签页后，密钥不会保留。",
  keyWrong: "服务器不认识这个密钥，请检查是否完整。",
  keyUse: "使用密钥",
  theme: { system: "外观：跟随系统", light: "外观：浅色", dark: "外观：深色" },

  options: "选项",
  pages: "页码",
  pagesHelp: "用于 PDF 或 TIFF，如 1-5,8 或 3-。留空则识别全部页面。",
  pagesWrong: "页码写法不对，请写成 1-5,8 或 3- 这样。",
  dpi: "PDF 页面的分辨率",
  dpiHelp: "每英寸点数，50 到 600。字小就调高，但会更慢。",
  dpiWrong: "请填 50 到 600 之间的整数。",
  pdfText: "PDF 里已有的文字",
  pdfAuto: "逐页判断",
  pdfAutoHelp: "录入的文字直接采用，扫描的页面进行识别。",
  pdfKeep: "保留",
  pdfKeepHelp: "有文字就采用，只识别没有文字的页面。",
  pdfIgnore: "忽略",
  pdfIgnoreHelp: "每页都按图片识别。适合自带文字质量差的 PDF。",
  again: "重新识别这个文件",
  optionsNote: "对之后添加的文件生效。",

  waiting: "等待中",
  sending: (share) => `正在上传 ${Math.floor(share * 100)} %`,
  reading: "正在识别……",
  queued: "正在服务器上排队……",
  readingPage: (page, count) => `第 ${page} 页，共 ${count} 页`,
  fetching: (share) => `正在取回结果 ${Math.floor(share * 100)} %`,
  busy: (seconds) => `服务器繁忙，${seconds} 秒后重试`,
  limited: (seconds) => `已达到服务器每分钟的次数限制，${seconds} 秒后重试`,
  cancelled: "已取消",
  cancel: "取消",
  cancelFile: (name) => `取消 ${name}`,
  remove: (name) => `移除 ${name}`,
  retry: "重试",
  retryFile: (name) => `重试 ${name}`,
  progressOf: (name) => `${name} 的进度`,
  readResult: (pages, lines) => (pages === 1 ? `${lines} 行` : `${pages} 页，${lines} 行`),
  announceRead: (name, lines) => `${name} 已识别，共 ${lines} 行`,
  announcePages: (name, read, count) => `${name} 已识别 ${read} 页，共 ${count} 页`,
  announceFailed: (name, why) => `${name} 未能识别。${why}`,

  picture: "图片",
  pictureOf: (number, name) => `${name} 第 ${number} 页`,
  text: "文字",
  page: "页",
  pageOf: (last) => `/ ${last}`,
  pageAmong: (place, count) => `（已识别 ${count} 页中的第 ${place} 页）`,
  pagePrevious: "上一页",
  pageNext: "下一页",
  zoomIn: "放大",
  zoomOut: "缩小",
  zoomFit: "适合宽度或整页",
  lines: (count) => `${count} 行`,
  copyAll: "复制全部",
  copyPage: "复制本页",
  copyLine: "复制此行",
  copied: "已复制",
  copyFailed: "浏览器不允许复制",
  noText: "这一页没有文字。",
  textLayer: "这些文字是 PDF 里自带的，不是从图片识别的。",
  legend: "识别的把握",
  check: "请核对",
  doubtful: "存疑",
  nextDoubt: (count) => `${count} 处待核对：下一处`,
  confidence: (value) => `可信度 ${value}`,

  download: "下载",
  downloadText: "纯文本",
  downloadMarkdown: "Markdown",
  downloadPdf: "可搜索的 PDF",
  downloadJson: "JSON（含位置）",
  downloadHocr: "hOCR",
  downloadAlto: "ALTO XML",
  downloadPng: "本页图片（画出各行）",
  downloadNote: "文件会再发送一次，并以所选格式返回。",
  making: (format) => `正在生成 ${format}……`,
  makingAt: (format, what) => `${format}：${what}`,
  saved: (name) => `已保存 ${name}`,
  dismiss: "关闭提示",

  failed: "这个文件未能识别",
  errors: {
    NETWORK: "无法连接服务器。请确认服务器在运行，网络正常。",
    HTTP: "回应的不是服务器本身，而是中间的某个环节。",
    BAD_REQUEST: "服务器无法理解这个请求，请检查选项。",
    NOT_AN_IMAGE: "这不是此处能识别的图片或 PDF。",
    UNSUPPORTED_MEDIA_TYPE: "这不是此处能识别的图片或 PDF。",
    IMAGE_DAMAGED: "文件已损坏或不完整。",
    PDF_ENCRYPTED: "这个 PDF 有密码。请另存为无密码的文件再试。",
    NO_PAGES: "这个文件里没有页面。",
    PAGES_OUT_OF_RANGE: "这个文件没有选项里指定的页面。",
    IMAGE_TOO_LARGE: "文件或其中某一页超出了服务器的限制。",
    REQUEST_TOO_LARGE: "文件超出了服务器的限制。",
    UNAUTHORIZED: "服务器需要密钥，请在页面顶部填写。",
    RATE_LIMITED: "服务器限制了每分钟的次数，请一分钟后再试。",
    BUSY: "服务器目前太忙，请稍后再试。",
    NOT_READY: "服务器还没有准备好，请稍后再试。",
    UPLOAD_TIMEOUT: "上传时间超出了服务器的限制，请重试。",
    DISK_FULL: "服务器的磁盘已满，放不下这个文件。",
    TIMEOUT: "识别时间超出了服务器的限制。请在选项里减少页数。",
    JOB_UNKNOWN: "服务器已经放弃了这个文件，请重试。",
    INFERENCE_FAILED: "服务器处理这个文件时出错。",
    INTERNAL_ERROR: "服务器处理这个文件时出错。",
    other: "服务器拒绝了这个文件。",
  },
};

const LANGUAGES = { en: EN, zh: ZH };
const listeners = [];
let language = stored("language") in LANGUAGES ? stored("language") : preferred();

function preferred() {
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** The text of this name in the language of the page; some take values. */
export function t(name, ...values) {
  const text = LANGUAGES[language][name];
  return typeof text === "function" ? text(...values) : text;
}

/** What an error means, in plain words. */
export function explained(error) {
  const { errors } = LANGUAGES[language];
  return errors[error.code] ?? errors.other;
}

/** Call it now and whenever the language changes. */
export function onLanguage(listener) {
  listeners.push(listener);
  listener();
}

export function switchLanguage() {
  language = language === "en" ? "zh" : "en";
  store("language", language);
  for (const listener of listeners) listener();
}

/** Fill in every element that names its text: `data-t`, or for its label `data-t-label`. */
export function translate() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  for (const element of document.querySelectorAll("[data-t]")) {
    element.textContent = t(element.dataset.t);
  }
  for (const element of document.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.dataset.tLabel));
  }
  for (const element of document.querySelectorAll("[data-t-title]")) {
    element.title = t(element.dataset.tTitle);
  }
}
