package townsquare

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// DemoName is the name of the nth member made at first start, from 1.
func DemoName(n int) string { return fmt.Sprintf("user%04d", n) }

// seedSpan is the time over which the first messages are spread.
const seedSpan = 21 * 24 * time.Hour

var (
	seedFirst = []string{"Anke", "Jan", "Merle", "Ole", "Fenja", "Hauke", "Tomma", "Piet", "Wiebke", "Enno", "Aylin", "Mateusz", "Noor", "Deniz", "Ilse", "Yusuf", "Greta", "Minh", "Rosa", "Tariq"}
	seedLast  = []string{"Petersen", "Hansen", "Brandt", "Kowalski", "Yilmaz", "Claasen", "Nguyen", "de Vries", "Lorenz", "Friedrich", "Haddad", "Thomsen", "Behrens", "Okafor", "Sörensen", "Martini"}
	seedAbout = []string{"lives by the harbour", "mends bicycles", "sings in the choir, badly", "teaches at the primary school", "walks a very old dog", "drives the night bus", "grows tomatoes on a balcony", "repairs radios", "keeps the lighthouse museum open", "bakes on Saturdays", "rows before breakfast", "reads the weather to anyone who asks"}
	seedWho   = []string{"The baker", "Our neighbour", "The harbour master", "My sister", "The choir", "The school", "A visitor from the islands", "The ferry crew", "The library", "The bicycle shop", "The market office", "The volunteer fire brigade", "The old lighthouse keeper", "The night bus driver"}
	seedDid   = []string{"is looking for", "has found", "gives away", "would like to borrow", "is repairing", "opens tomorrow with", "was asking about", "has photographs of", "needs help with", "is proud of", "collects money for", "will talk about"}
	seedThing = []string{"a wooden ladder", "two tickets for the concert", "the broken pump at the sluice", "a blue bicycle", "the new timetable", "a cat that answers to nobody", "fresh bread", "the high tide table", "old maps of the dike", "a box of tomatoes", "a sewing machine", "the summer festival", "a rowing boat", "the street lamps near the station", "a piano that needs tuning", "the flea market"}
	seedWhere = []string{"near the station", "behind the church", "at the harbour", "on the market square", "by the old mill", "in the library", "along the canal", "at the school", "on the dike", "by the swimming pool", "at the corner of Main Street", "next to the town hall"}
	seedWhen  = []string{"this evening", "tomorrow at ten", "on Saturday", "before the rain comes", "until the end of the week", "after the storm", "at low tide", "when the ferry is in", "on the first of the month", "any time this week"}
	seedTail  = []string{"Please write to me if you can help.", "Thank you, everyone.", "Bring a friend.", "No need to sign up.", "The coffee is free.", "More when I know more.", "Who is coming?", "It was lovely last year.", "Please pass it on.", "Photographs tomorrow.", "Wear boots.", "The wind is north-west, 6 to 7.", "Trains are late again, by the way.", "Danke an alle, die geholfen haben."}
)

// seed makes members and messages until there are as many as said. What is
// made depends on the seed and on how much is there; only the times depend on
// now.
func (s *store) seed(ctx context.Context, c Config, now time.Time) error {
	hash, err := bcrypt.GenerateFromPassword([]byte(DemoPassword), c.PasswordCost)
	if err != nil {
		return fmt.Errorf("townsquare: seed: %w", err)
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		var members, posts int
		err := tx.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM members), (SELECT count(*) FROM messages)`).Scan(&members, &posts)
		if err != nil {
			return err
		}
		dice := rand.New(rand.NewPCG(c.Seed, uint64(posts)))
		if members == 0 {
			if err := seedMembers(ctx, tx, dice, c.Users, hash, now.Add(-seedSpan)); err != nil {
				return err
			}
		}
		return seedMessages(ctx, tx, dice, c.Posts-posts, now)
	})
	if err != nil {
		return fmt.Errorf("townsquare: seed: %w", err)
	}
	return nil
}

func seedMembers(ctx context.Context, tx *sql.Tx, dice *rand.Rand, n int, hash []byte, joined time.Time) error {
	insert, err := tx.PrepareContext(ctx, `INSERT INTO members (name, display, about, hash, joined) VALUES (?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer insert.Close()
	for i := range n {
		display := pick(dice, seedFirst) + " " + pick(dice, seedLast)
		if _, err := insert.ExecContext(ctx, DemoName(i+1), display, pick(dice, seedAbout), hash, joined.UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}

// seedMessages adds n messages, evenly from the newest there is, or seedSpan
// ago, to now.
func seedMessages(ctx context.Context, tx *sql.Tx, dice *rand.Rand, n int, now time.Time) error {
	var authors, newest int64
	err := tx.QueryRowContext(ctx, `SELECT (SELECT max(id) FROM members),
		coalesce((SELECT at FROM messages ORDER BY id DESC LIMIT 1), ?)`, now.Add(-seedSpan).UnixMilli()).Scan(&authors, &newest)
	if err != nil {
		return err
	}
	insert, err := tx.PrepareContext(ctx, `INSERT INTO messages (author, text, at) VALUES (?, ?, ?)`)
	if err != nil {
		return err
	}
	defer insert.Close()
	span := now.UnixMilli() - newest
	for i := range n {
		at := newest + span*int64(i+1)/int64(n)
		// The product makes some write much and most write little, as people do.
		author := 1 + int64(float64(authors)*dice.Float64()*dice.Float64())
		if _, err := insert.ExecContext(ctx, author, seedText(dice), at); err != nil {
			return err
		}
	}
	return nil
}

func seedText(dice *rand.Rand) string {
	parts := []string{pick(dice, seedWho), pick(dice, seedDid), pick(dice, seedThing), pick(dice, seedWhere)}
	if dice.IntN(3) > 0 {
		parts = append(parts, pick(dice, seedWhen))
	}
	text := strings.Join(parts, " ") + "."
	for range dice.IntN(3) {
		text += " " + pick(dice, seedTail)
	}
	return text
}

func pick(dice *rand.Rand, from []string) string { return from[dice.IntN(len(from))] }
