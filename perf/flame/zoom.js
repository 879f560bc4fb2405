// A click on a function gives it the whole width; one on the root goes back.
(function () {
  "use strict";
  var all = Array.prototype.slice.call(document.querySelectorAll("g.f"));
  if (all.length === 0) { return; }
  var num = function (g, k) { return parseFloat(g.getAttribute("data-" + k)); };
  var left = num(all[0], "x"), full = num(all[0], "w");
  var first = all[0].querySelector("text");
  var root = first ? first.textContent : "";
  function fit(name, w) {
    var room = Math.floor((w - 8) / 6.7);
    if (room < 4) { return ""; }
    if (name.length > room) { name = name.slice(name.lastIndexOf(".") + 1); }
    return name.length <= room ? name : name.slice(0, room - 1) + "\u2026";
  }
  function show(g) {
    var from = num(g, "x"), scale = full / num(g, "w"), end = from + num(g, "w");
    all.forEach(function (o) {
      var x = Math.max(num(o, "x"), from), e = Math.min(num(o, "x") + num(o, "w"), end);
      var w = (e - x) * scale, at = left + (x - from) * scale;
      o.style.display = w > 0.2 ? "" : "none";
      if (w <= 0.2) { return; }
      var r = o.querySelector("rect");
      r.setAttribute("x", at);
      r.setAttribute("width", Math.max(w - 0.6, 0.2));
      var t = o.querySelector("text");
      if (!t) {
        t = document.createElementNS("http://www.w3.org/2000/svg", "text");
        t.setAttribute("y", parseFloat(r.getAttribute("y")) + 13);
        o.appendChild(t);
      }
      t.setAttribute("x", at + 4);
      t.textContent = fit(o === all[0] ? root : o.getAttribute("data-n"), w);
    });
  }
  all.forEach(function (g) { g.addEventListener("click", function () { show(g); }); });
}());
