#include "report/html_style.h"

/* Colours meet WCAG 2.2 AA on their backgrounds in both schemes (text 4.5:1, graphics
 * 3:1). Nothing is told by colour alone. */
static const char *const parts[] = {
    ":root{color-scheme:light "
    "dark;--bg:#fff;--card:#f6f7f9;--edge:#d5d9e0;--text:#1b1f27;"
    "--soft:#555d6b;--accent:#1d4fd7;--band:#1d4fd726;--good:#14692f;--good-bg:#e2f4e6;"
    "--bad:#a31621;--bad-bg:#fde8e8;--warn:#7a4b00;--warn-bg:#fdf0d5;--arm0:#6b7280;"
    "--arm1:#1d4fd7;--arm2:#b4441a;--arm3:#0f766e;--arm4:#86198f;--arm5:#854d0e}"
    "@media(prefers-color-scheme:dark){:root{--bg:#13161b;--card:#1c2027;--edge:#"
    "363c47;"
    "--text:#e7eaf0;--soft:#a7afbd;--accent:#86aaff;--band:#86aaff33;--good:#7fdc98;"
    "--good-bg:#12301c;--bad:#ff9a9f;--bad-bg:#3b1518;--warn:#f3c46b;--warn-bg:#35270b;"
    "--arm0:#9aa2b1;--arm1:#86aaff;--arm2:#ff9d72;--arm3:#4fd1c5;--arm4:#e08cf0;"
    "--arm5:#e6b450}}",
    "*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}"
    "body{margin:0;background:var(--bg);color:var(--text);"
    "font:1rem/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,sans-serif}"
    "main,header.page,footer{max-width:62rem;margin:0 auto;padding:0 1rem}"
    "a{color:var(--accent)}a:focus-visible,summary:focus-visible,.scroll:focus-visible{"
    "outline:3px solid var(--accent);outline-offset:2px}"
    ".skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;padding:.5rem;"
    "background:var(--bg)}"
    "h1{font-size:1.6rem;line-height:1.25;margin:1.5rem 0 .25rem}"
    "h2{font-size:1.2rem;margin:2.25rem 0 .5rem}h3{font-size:1rem;margin:1.5rem 0 "
    ".25rem}"
    "p{margin:.4rem 0}.soft{color:var(--soft)}small,.small{font-size:.875rem}"
    "nav ul{padding-left:1.2rem}",
    ".verdict{border:1px solid var(--edge);border-left:.5rem solid;border-radius:.5rem;"
    "padding:1rem 1.25rem;margin:1rem 0}"
    ".verdict .stamp{font-weight:700;letter-spacing:.04em;font-size:1.25rem}"
    ".verdict .headline{font-size:1.1rem;color:var(--text)}"
    ".verdict ul{color:var(--text);margin:.5rem 0 0;padding-left:1.2rem}"
    ".verdict p,.verdict li{color:var(--text)}.verdict .stamp{color:inherit}"
    ".good{background:var(--good-bg);color:var(--good);border-left-color:var(--good)}"
    ".bad{background:var(--bad-bg);color:var(--bad);border-left-color:var(--bad)}"
    ".warn{background:var(--warn-bg);color:var(--warn);border-left-color:var(--warn)}"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));"
    "gap:.75rem;margin:1rem 0;padding:0;list-style:none}"
    ".cards li{background:var(--card);border:1px solid var(--edge);border-radius:.5rem;"
    "padding:.75rem 1rem}.cards b{display:block;font-size:1.35rem;line-height:1.3;"
    "font-variant-numeric:tabular-nums}",
    ".pill{display:inline-block;border-radius:1rem;padding:0 .6rem;font-size:.875rem;"
    "font-weight:600;white-space:nowrap}"
    ".scroll{overflow-x:auto;margin:.5rem 0}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "caption{text-align:left;color:var(--soft);padding-bottom:.25rem;font-size:.875rem}"
    "th,td{text-align:left;padding:.4rem 1rem .4rem 0;border-bottom:1px solid "
    "var(--edge);vertical-align:top}th{font-weight:600}thead th{color:var(--soft);"
    "font-size:.875rem;white-space:nowrap}.num{text-align:right;white-space:nowrap}"
    "th.num{text-align:right}td:last-child,th:last-child{padding-right:0}tbody "
    "th{white-space:nowrap}"
    ".forest td.plot,.forest "
    "th.plot{width:50%;min-width:15rem;padding:.4rem 1.5rem}"
    ".forest td{vertical-align:middle}.forest tbody th{vertical-align:middle}",
    "svg{display:block;width:100%;overflow:visible}svg.row{height:1.5rem}"
    "svg path{vector-effect:non-scaling-stroke;fill:none}"
    ".zero{stroke:var(--soft);stroke-width:1;stroke-dasharray:3 3}"
    ".ci{stroke:var(--accent);stroke-width:2}"
    ".dot{stroke:var(--accent);stroke-width:10;stroke-linecap:round}"
    "svg path.band{fill:var(--band)}.line{stroke:var(--accent);stroke-width:2.5}"
    ".always{stroke:var(--accent);stroke-width:1.5;stroke-dasharray:6 4}"
    ".axis{position:relative;height:1.25rem;font-size:.75rem;color:var(--soft);"
    "font-weight:400}.axis span{position:absolute;transform:translateX(-50%);"
    "white-space:nowrap}",
    ".chart{position:relative;padding:.75rem 0 0 4.75rem;margin:.5rem 0}"
    ".chart svg{height:16rem;overflow:hidden;border-left:1px solid var(--edge);"
    "border-bottom:1px solid var(--edge)}.chart.low svg{height:7rem}"
    ".chart .y{position:absolute;left:0;width:4.25rem;top:.75rem;height:16rem;"
    "font-size:.75rem;color:var(--soft);text-align:right}"
    ".chart .y span{position:absolute;right:0;transform:translateY(-50%)}"
    ".chart.low .y{height:7rem}"
    ".chart .x{display:flex;justify-content:space-between;font-size:.75rem;"
    "color:var(--soft);padding-top:.25rem}"
    ".arm0{fill:var(--arm0)}.arm1{fill:var(--arm1)}.arm2{fill:var(--arm2)}"
    ".arm3{fill:var(--arm3)}.arm4{fill:var(--arm4)}.arm5{fill:var(--arm5)}"
    ".key{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;font-size:.875rem;"
    "color:var(--soft);list-style:none;padding:0;margin:.25rem 0}"
    ".key svg{display:inline-block;width:1.75rem;height:.75rem;margin-right:.4rem}",
    "pre{overflow-x:auto;background:var(--card);border:1px solid var(--edge);"
    "border-radius:.5rem;padding:.75rem;font-size:.8125rem;line-height:1.45}"
    "code{font-family:ui-monospace,SFMono-Regular,Menlo,monospace;font-size:.9em;"
    "overflow-wrap:anywhere}summary{cursor:pointer;padding:.25rem 0}"
    "dt{font-weight:600;margin-top:.6rem}dd{margin:0 0 0 1rem}"
    "footer{padding:2rem 1rem;color:var(--soft);font-size:.875rem}"
    /* On a phone the rows of the two long tables become blocks. */
    "@media(max-width:40rem){.checks thead,.forest thead{position:absolute;left:-99rem}"
    ".checks tr,.forest tr{display:block;border-bottom:1px solid var(--edge);"
    "padding:.5rem 0}.checks th,.checks td,.forest th,.forest td,.forest td.num{"
    "display:block;border:0;padding:.1rem 0;width:auto;text-align:left}"
    ".forest td.plot{width:auto;padding:.25rem 0}"
    ".cards{grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr))}"
    "h1{font-size:1.35rem}.forest td.plot,.forest th.plot{"
    "min-width:12rem}th,td{padding-right:.6rem}.chart{padding-left:4rem}"
    ".chart .y{width:3.6rem}.chart svg,.chart .y{height:12rem}}",
    "@media print{:root{color-scheme:light}body{font-size:10pt}.verdict,.cards "
    "li,table,"
    ".chart{break-inside:avoid}h2,h3{break-after:avoid}.scroll{overflow:visible}"
    ".skip,nav{display:none}a{color:inherit}"
    "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}",
};

void html_style(struct buffer *out)
{
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        buffer_append_text(out, parts[i]);
    }
}
