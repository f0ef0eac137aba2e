# The map of docs/figures/long: a panel for each method, a square for each depth (across) and rate
# (upward), the darker the lower its validation loss; a cross where it learned no more than
# frequencies, HOPELESS and above.  A line: corpus method layers rate seed updates loss bleu.
BEGIN { left = 60; top = 40; side = 34; gap = 50 }

{
    if (!($2 in panel)) panel[$2] = panels++
    if (!($3 in across)) across[$3] = depths++
    if (!($4 in upward)) upward[$4] = rates++
    loss[$2" "$3" "$4] = $7
    updates = $6
}

function at_x(p, d) { return left + p*(depths*side + gap) + d*side }
function at_y(r) { return top + (rates - 1 - r)*side }

function text(x, y, how, what) { printf "<text x=\"%d\" y=\"%d\" %s>%s</text>\n", x, y, how, what }

function square(x, y, loss,    t) {
    t = loss/hopeless
    printf "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" stroke=\"#888\" fill=\"", x, y,
        side - 2, side - 2
    if (loss == "nan" || t > 1) {
        printf "#f4d6d2\"/>\n<path d=\"M%d %dl12 12m0 -12l-12 12\" stroke=\"#b03020\"/>\n",
            x + 10, y + 10
        return
    }
    printf "rgb(%d,%d,%d)\"/>\n", 30 + 200*t, 100 + 130*t, 160 + 80*t
    text(x + 16, y + 20, "font-size=\"10\" text-anchor=\"middle\" fill=\"" \
         (t < 0.5 ? "#fff" : "#222") "\"", sprintf("%.1f", loss))
}

END {
    down = top + rates*side
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" " \
        "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" " \
        "fill=\"#fff\"/>\n", at_x(panels, 0), down + 50
    for (m in panel) text(at_x(panel[m], 0), 24, "font-weight=\"bold\"", m)
    for (r in upward) text(left - 6, at_y(upward[r]) + 20, "text-anchor=\"end\"", r)
    for (m in panel) for (d in across)
        text(at_x(panel[m], across[d]) + 16, down + 14, "text-anchor=\"middle\"", d)
    text(left, down + 36, "", "layers a side, peak rate, validation loss (" updates " updates)")
    for (key in loss) {
        split(key, k, " ")
        square(at_x(panel[k[1]], across[k[2]]), at_y(upward[k[3]]), loss[key])
    }
    print "</svg>"
}
