// Command derive makes desk/page/world.txt, the outlines of the console's map,
// from Natural Earth's countries at 1:110 million in TopoJSON, as the npm package
// world-atlas has them (countries-110m.json). Natural Earth is in the public
// domain.
//
//	npm pack world-atlas@2.0.2 && tar -xzf world-atlas-2.0.2.tgz
//	go run ./desk/derive package/countries-110m.json > desk/page/world.txt
//
// Shared borders are thinned once, so that neighbours still meet. The projection
// is Equal Earth (Šavrič, Patterson and Jenny, 2018), so that no country looks
// larger than it is, cut in the Bering Strait. Antarctica is left out.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"slices"
	"strings"
)

const (
	width    = 960  // of the map, in units
	thinness = .5   // units by which a border may be off
	middle   = 11.  // degrees east
	north    = 84.  // degrees, the drawing's upper edge
	south    = -56. // its lower one
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: derive countries-110m.json > world.txt")
	}
	b, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var t topology
	if err := json.Unmarshal(b, &t); err != nil {
		log.Fatal(err)
	}
	if err := t.write(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// topology is as much of a TopoJSON file as is needed.
type topology struct {
	Transform struct {
		Scale, Translate [2]float64
	}
	Arcs    [][][2]float64
	Objects struct {
		Countries struct{ Geometries []geometry }
	}
}

type geometry struct {
	Type       string
	ID         string
	Arcs       json.RawMessage
	Properties struct{ Name string }
}

// rings are the polygons' outer and inner edges, each a list of arcs.
func (g *geometry) rings() (all [][]int, err error) {
	if g.Type == "Polygon" {
		return all, json.Unmarshal(g.Arcs, &all)
	}
	var many [][][]int
	if err := json.Unmarshal(g.Arcs, &many); err != nil {
		return nil, err
	}
	return slices.Concat(many...), nil
}

type point struct{ x, y float64 }

// write gives the box of the drawing, and a line for each country.
func (t *topology) write(to io.Writer) error {
	arcs := make([][]point, len(t.Arcs))
	for i, arc := range t.Arcs {
		x, y := 0., 0.
		for _, step := range arc {
			x, y = x+step[0], y+step[1]
			arcs[i] = append(arcs[i], project(x*t.Transform.Scale[0]+t.Transform.Translate[0], y*t.Transform.Scale[1]+t.Transform.Translate[1]))
		}
		arcs[i] = thin(arcs[i])
	}
	upper, lower := project(middle, north).y, project(middle, south).y
	if _, err := fmt.Fprintf(to, "0 %.0f %d %.0f\n", math.Floor(upper), width, math.Ceil(lower-upper)); err != nil {
		return err
	}
	var lines []string
	for _, g := range t.Objects.Countries.Geometries {
		code := codeOf(&g)
		if code == "AQ" {
			continue
		}
		rings, err := g.rings()
		if err != nil {
			return fmt.Errorf("%s: %w", g.Properties.Name, err)
		}
		var path strings.Builder
		for _, ring := range rings {
			var all []point
			for _, i := range ring {
				arc := arcs[max(i, ^i)]
				if i < 0 {
					arc = slices.Clone(arc)
					slices.Reverse(arc)
				}
				all = append(all, arc...)
			}
			for i := range all { // an island on the cut stays in one piece
				if math.Abs(all[i].x-all[0].x) > width/2 {
					all[i].x = width - all[i].x
				}
			}
			path.WriteString(draw(all))
		}
		if path.Len() > 0 {
			lines = append(lines, code+" "+path.String())
		}
	}
	for code, at := range islands {
		p := project(at[1], at[0])
		lines = append(lines, fmt.Sprintf("%s M%.0f %.0fl2 2-2 2-2-2z", code, p.x, p.y-2))
	}
	slices.Sort(lines)
	_, err := fmt.Fprintln(to, strings.Join(lines, "\n"))
	return err
}

// project gives a place's point on the map; its y grows downwards.
func project(lon, lat float64) point {
	lon = math.Mod(lon-middle+540, 360) - 180
	const a1, a2, a3, a4 = 1.340264, -.081106, .000893, .003796
	m := math.Sqrt(3) / 2
	at := math.Asin(m * math.Sin(lat*math.Pi/180))
	s := at * at
	x := lon * math.Pi / 180 * math.Cos(at) / (m * (a1 + 3*a2*s + s*s*s*(7*a3+9*a4*s)))
	y := at * (a1 + a2*s + s*s*s*(a3+a4*s))
	const half = 2.7066299836960748 // x at the edge of the equator
	unit := width / (2 * half)
	return point{width/2 + x*unit, width/4 - y*unit}
}

// thin leaves out points that hardly matter (Ramer, 1972; Douglas and Peucker, 1973).
func thin(all []point) []point {
	if len(all) < 3 {
		return all
	}
	first, last := all[0], all[len(all)-1]
	far, at := 0., 0
	for i := 1; i < len(all)-1; i++ {
		if d := away(all[i], first, last); d > far {
			far, at = d, i
		}
	}
	if far <= thinness {
		return []point{first, last}
	}
	return append(slices.Clone(thin(all[:at+1])), thin(all[at:])[1:]...)
}

// away is how far p is from the line between a and b.
func away(p, a, b point) float64 {
	dx, dy := b.x-a.x, b.y-a.y
	long := dx*dx + dy*dy
	if long == 0 {
		return math.Hypot(p.x-a.x, p.y-a.y)
	}
	along := min(max(((p.x-a.x)*dx+(p.y-a.y)*dy)/long, 0), 1)
	return math.Hypot(p.x-a.x-along*dx, p.y-a.y-along*dy)
}

// draw gives a ring as a path in whole units; "" where nothing is left of it.
func draw(ring []point) string {
	var b strings.Builder
	x, y, n := 0, 0, 0
	for i, p := range ring {
		nx, ny := int(math.Round(p.x)), int(math.Round(p.y))
		switch {
		case i == 0:
			fmt.Fprintf(&b, "M%d %dl", nx, ny)
		case nx == x && ny == y || i == len(ring)-1: // the last is the first
			continue
		default:
			pair := fmt.Sprintf("%d %d", nx-x, ny-y)
			pair = strings.Replace(pair, " -", "-", 1)
			if n > 0 && pair[0] != '-' {
				b.WriteByte(' ')
			}
			b.WriteString(pair)
			n++
		}
		x, y = nx, ny
	}
	if n < 2 {
		return ""
	}
	return b.String() + "z"
}

// islands are states too small for the scale that many networks are in.
var islands = map[string][2]float64{ // north, east
	"SG": {1.35, 103.82}, "HK": {22.3, 114.17}, "BH": {26.07, 50.55}, "MT": {35.9, 14.45}, "MU": {-20.25, 57.55}, "SC": {-4.68, 55.48}, "MV": {3.2, 73.22},
}

func codeOf(g *geometry) string {
	if g.Properties.Name == "Kosovo" {
		return "XK"
	}
	if code, known := codes[g.ID]; known {
		return code
	}
	return "-"
}

// codes are the letters of ISO 3166 by its numbers, of what is on the map.
var codes = func() map[string]string {
	all := make(map[string]string)
	for pair := range strings.FieldsSeq(numbers) {
		number, code, _ := strings.Cut(pair, ":")
		all[number] = code
	}
	return all
}()

const numbers = `
004:AF 008:AL 010:AQ 012:DZ 024:AO 031:AZ 032:AR 036:AU 040:AT 044:BS 050:BD 051:AM 056:BE 064:BT 068:BO 070:BA 072:BW 076:BR 084:BZ 090:SB
096:BN 100:BG 104:MM 108:BI 112:BY 116:KH 120:CM 124:CA 140:CF 144:LK 148:TD 152:CL 156:CN 158:TW 170:CO 178:CG 180:CD 188:CR 191:HR 192:CU
196:CY 203:CZ 204:BJ 208:DK 214:DO 218:EC 222:SV 226:GQ 231:ET 232:ER 233:EE 238:FK 242:FJ 246:FI 250:FR 260:TF 262:DJ 266:GA 268:GE 270:GM
275:PS 276:DE 288:GH 300:GR 304:GL 320:GT 324:GN 328:GY 332:HT 340:HN 348:HU 352:IS 356:IN 360:ID 364:IR 368:IQ 372:IE 376:IL 380:IT 384:CI
388:JM 392:JP 398:KZ 400:JO 404:KE 408:KP 410:KR 414:KW 417:KG 418:LA 422:LB 426:LS 428:LV 430:LR 434:LY 440:LT 442:LU 450:MG 454:MW 458:MY
466:ML 478:MR 484:MX 496:MN 498:MD 499:ME 504:MA 508:MZ 512:OM 516:NA 524:NP 528:NL 540:NC 548:VU 554:NZ 558:NI 562:NE 566:NG 578:NO 586:PK
591:PA 598:PG 600:PY 604:PE 608:PH 616:PL 620:PT 624:GW 626:TL 630:PR 634:QA 642:RO 643:RU 646:RW 682:SA 686:SN 688:RS 694:SL 703:SK 704:VN
705:SI 706:SO 710:ZA 716:ZW 724:ES 728:SS 729:SD 732:EH 740:SR 748:SZ 752:SE 756:CH 760:SY 762:TJ 764:TH 768:TG 780:TT 784:AE 788:TN 792:TR
795:TM 800:UG 804:UA 807:MK 818:EG 826:GB 834:TZ 840:US 854:BF 858:UY 860:UZ 862:VE 887:YE 894:ZM`
