// A picture to try the service with: a small notice, drawn here and a little askew.

const LINES = [
  ["图书馆开放时间", 60, 150],
  ["Library opening hours", 38, 222],
  ["星期一至星期五  09:00 – 21:00", 36, 350],
  ["Saturday and Sunday  10:00 – 18:00", 36, 420],
  ["请保持安静，谢谢您的合作。", 36, 540],
  ["Please return all books within 30 days.", 36, 610],
  ["电话 010 6255 8888", 36, 730],
];
const WIDTH = 1000;
const HEIGHT = 860;

/** The sample as a file; takes a moment. */
export async function sample() {
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  draw(canvas.getContext("2d"));
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  return new File([blob], "sample.png", { type: "image/png" });
}

function draw(pen) {
  pen.fillStyle = "#e9e4d8";
  pen.fillRect(0, 0, WIDTH, HEIGHT);
  pen.translate(WIDTH / 2, HEIGHT / 2);
  pen.rotate(-0.025);
  pen.translate(-WIDTH / 2, -HEIGHT / 2);
  pen.fillStyle = "#fdfbf5";
  pen.fillRect(45, 45, WIDTH - 90, HEIGHT - 90);
  pen.fillStyle = "#c8b98f";
  pen.fillRect(110, 268, 220, 4);
  pen.fillStyle = "#2a2722";
  for (const [text, size, baseline] of LINES) {
    pen.font = `${size}px "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif`;
    pen.fillText(text, 110, baseline);
  }
}
