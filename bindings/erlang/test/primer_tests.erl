%% @doc What the scenarios cannot say: processes, mailboxes, terms, the application.
-module(primer_tests).

-include_lib("eunit/include/eunit.hrl").

-import(primer_testing, [each/1, member/0]).

%% A lease no test waits for.
-define(LONG, 3_600_000).
%% Only a failing test waits that long.
-define(LIMIT, 20_000).

all_test_() ->
    each([
        fun bodies_are_binaries_or_iolists_of_any_size/0,
        fun headers_are_a_map_or_pairs_and_come_as_pairs/0,
        fun names_are_binaries_atoms_or_strings/0,
        fun options_are_a_map_or_a_keyword_list/0,
        fun errors_say_the_hundred_the_kind_and_the_number/0,
        fun what_is_no_handle_is_badarg/0,
        fun a_dead_receiver_gives_its_message_back_at_once/0,
        fun a_delivery_can_be_handed_to_another_process/0,
        fun a_body_that_is_kept_keeps_no_lease/0,
        fun a_delivery_of_a_batch_goes_back_without_the_others/0,
        fun a_batch_says_of_each_message_what_is_its_own/0,
        fun a_dead_subscriber_gives_everything_back_at_once/0,
        fun a_dead_puller_gives_everything_back_at_once/0,
        fun no_more_than_the_credit_is_ever_in_the_mailbox/0,
        fun waiting_callers_block_no_scheduler/0,
        fun a_killed_caller_takes_its_demand_back/0,
        fun late_answers_do_not_stay_in_the_mailbox/0,
        fun a_given_up_wait_says_whether_its_answer_comes/0,
        fun close_answers_those_who_wait/0,
        fun a_closed_subscription_sends_nothing_more/0,
        fun events_come_as_messages/0,
        fun answers_make_no_atoms/0,
        fun batches_keep_their_order/0,
        fun a_member_closes_with_its_last_handle/0,
        fun threads_end_with_their_members/0
    ]).

queue() -> queue(<<"jobs">>).

queue(Name) ->
    {ok, Queue} = primer:queue(member(), Name),
    Queue.

one(Queue) ->
    {ok, [Delivery]} = primer:'receive'(Queue, #{wait => ?LIMIT, lease => ?LONG}),
    Delivery.

%% A process that does Work and then holds whatever that answered until it is killed.
holder(Work) ->
    Parent = self(),
    Pid = spawn(fun() ->
        Held = Work(),
        Parent ! {self(), ready},
        receive
            {show, To} -> To ! Held
        end
    end),
    receive
        {Pid, ready} -> Pid
    after ?LIMIT -> error(not_ready)
    end.

kill(Pid) ->
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive
        {'DOWN', Monitor, process, Pid, _} -> ok
    end.

%%% Terms %%%

bodies_are_binaries_or_iolists_of_any_size() ->
    Queue = queue(),
    Large = crypto_free_bytes(300_000),
    <<_:3, Unaligned:5_000/binary, _/bitstring>> = Large,
    <<_:100/binary, Part:5_000/binary, _/binary>> = Large,
    Bodies = [
        <<>>, <<"a">>, [], [<<"a">>, "bc", [[$d | <<"e">>]]],
        binary:copy(<<"x">>, 64), binary:copy(<<"x">>, 65),
        binary:copy(<<"y">>, 4_096), binary:copy(<<"z">>, 4_097),
        Large, [Large, Part, "end"], Unaligned, Part, binary:part(Large, 5, 70)
    ],
    [{ok, _} = primer:enqueue(Queue, Body) || Body <- Bodies],
    {ok, _} = primer:enqueue_many(Queue, Bodies),
    Wanted = [iolist_to_binary(Body) || Body <- Bodies],
    {ok, Deliveries} = primer:'receive'(Queue, #{max => 100, lease => ?LONG}),
    ?assertEqual(Wanted ++ Wanted, [Body || #{body := Body} <- Deliveries]),
    [?assertError(badarg, primer:enqueue(Queue, Body)) || Body <- [body, 1, <<1:3>>, [a], [<<>> | a]]],
    ?assertError(_, primer:enqueue_many(Queue, [<<"a">> | <<"b">>])),
    ?assertError(badarg, primer:enqueue_many(Queue, [<<"a">>, b])).

%% Bytes that differ, without the application crypto.
crypto_free_bytes(Count) ->
    << <<(erlang:phash2(N, 256))>> || N <- lists:seq(1, Count) >>.

headers_are_a_map_or_pairs_and_come_as_pairs() ->
    Queue = queue(),
    Pairs = [{<<"b">>, <<"1">>}, {<<"a">>, <<"2">>}],
    {ok, _} = primer:enqueue(Queue, <<"pairs">>, #{headers => Pairs}),
    {ok, _} = primer:enqueue(Queue, <<"map">>, #{headers => maps:from_list(Pairs)}),
    #{headers := Pairs} = one(Queue),
    #{headers := FromMap} = one(Queue),
    ?assertEqual(lists:sort(Pairs), lists:sort(FromMap)),
    Bad = [[a], [{a, <<"1">>}], [{<<"a">>, 1}], [{<<"a">>, <<"1">>} | b], #{a => b}, 7, [{<<255>>, <<>>}]],
    [
        ?assertMatch(
            {error, {wrong_call, invalid_argument, #{number := 101, option := <<"headers">>}}},
            primer:enqueue(Queue, <<>>, #{headers => Headers})
        )
     || Headers <- Bad
    ].

names_are_binaries_atoms_or_strings() ->
    Member = member(),
    [
        begin
            {ok, Queue} = primer:queue(Member, Name),
            {ok, _} = primer:enqueue(Queue, <<"x">>),
            #{queue := Wanted} = one(Queue)
        end
     || {Name, Wanted} <- [
            {<<"jobs">>, <<"jobs">>}, {jobs, <<"jobs">>}, {"jobs", <<"jobs">>},
            {"gr\x{fc}n", <<"gr\x{fc}n"/utf8>>}
        ]
    ],
    [
        ?assertMatch({error, {wrong_call, invalid_argument, #{number := 101}}}, primer:queue(Member, Name))
     || Name <- [<<255>>, [a], 7, {}, self(), "", <<"a\n">>, [$a | b]]
    ].

options_are_a_map_or_a_keyword_list() ->
    Queue = queue(),
    {ok, #{copies := 1, wanted := 1}} = primer:enqueue(Queue, <<"x">>, [{copies, 1}]),
    {ok, [Delivery]} = primer:'receive'(Queue, [{max, 10}]),
    ok = primer:nack(Delivery, [{delay, 0}]),
    Wrong = [
        {fun() -> primer:enqueue(Queue, <<>>, #{colour => red}) end, <<"colour">>},
        {fun() -> primer:enqueue(Queue, <<>>, #{copies => -1}) end, <<"copies">>},
        {fun() -> primer:enqueue(Queue, <<>>, #{copies => 70_000}) end, <<"copies">>},
        {fun() -> primer:enqueue(Queue, <<>>, #{on_short => perhaps}) end, <<"on_short">>},
        {fun() -> primer:enqueue(Queue, <<>>, #{timeout => soon}) end, <<"timeout">>},
        {fun() -> primer:'receive'(Queue, #{max => 1 bsl 70}) end, <<"max">>},
        {fun() -> primer:'receive'(Queue, #{wait => infinity}) end, <<"wait">>},
        {fun() -> primer:subscribe(Queue, #{mode => throw}) end, <<"mode">>},
        {fun() -> primer:extend(Delivery, #{delay => 1}) end, <<"delay">>}
    ],
    [
        ?assertMatch({error, {wrong_call, invalid_argument, #{number := 101, option := Option}}}, Call())
     || {Call, Option} <- Wrong
    ],
    [
        ?assertMatch({error, {wrong_call, invalid_argument, #{number := 101}}}, primer:open(Options))
     || Options <- [[a], a, [{listen, self()}], #{{} => 1}, [{seeds, [<<"a">> | b]}], [{<<255>>, 1}]]
    ],
    {error, {wrong_call, invalid_argument, #{reason := Reason}}} = primer:open(#{lease_mss => 1}),
    ?assert(is_binary(Reason)).

errors_say_the_hundred_the_kind_and_the_number() ->
    Queue = queue(),
    {ok, _} = primer:enqueue(Queue, <<"x">>),
    Delivery = one(Queue),
    ok = primer:ack(Delivery),
    ?assertMatch({error, {too_late, already_done, #{number := 402, reason := _}}}, primer:ack(Delivery)),
    {ok, [402, 402]} = primer:ack_many([Delivery, maps:get(handle, Delivery)]),
    {ok, []} = primer:ack_many([]),
    ?assertMatch({error, {wrong_call, too_large, #{number := 104}}},
        primer:enqueue(Queue, binary:copy(<<"x">>, 524_289))),
    {ok, _} = primer:enqueue(Queue, <<"y">>),
    {ok, Second} = primer:queue(member(), <<"jobs">>),
    {ok, _} = primer:enqueue(Second, <<"z">>),
    ?assertMatch({error, {wrong_call, invalid_argument, #{number := 101}}},
        primer:ack_many([one(Queue), one(Second)])).

what_is_no_handle_is_badarg() ->
    Member = member(),
    {ok, Queue} = primer:queue(Member, <<"jobs">>),
    [
        ?assertError(badarg, Call())
     || Call <- [
            fun() -> primer:enqueue(Member, <<"x">>) end,
            fun() -> primer:'receive'(make_ref()) end,
            fun() -> primer:ack(Queue) end,
            fun() -> primer:ack(not_a_lease) end,
            fun() -> primer:ack_many([Queue]) end,
            fun() -> primer:members(Queue) end,
            fun() -> primer:close(Queue) end,
            fun() -> primer:next(Member, 0) end,
            fun() -> primer:credit(Member, 1) end
        ]
    ].

%%% Processes %%%

a_dead_receiver_gives_its_message_back_at_once() ->
    Queue = queue(),
    {ok, #{id := Id}} = primer:enqueue(Queue, binary:copy(<<"x">>, 10_000)),
    Holder = holder(fun() -> one(Queue) end),
    {ok, []} = primer:'receive'(Queue),
    kill(Holder),
    %% The lease is an hour; the attempt was not counted.
    #{id := Id, attempts := 1} = one(Queue).

a_delivery_can_be_handed_to_another_process() ->
    Queue = queue(),
    {ok, #{id := Id}} = primer:enqueue(Queue, <<"x">>),
    Parent = self(),
    First = holder(fun() ->
        Delivery = one(Queue),
        Parent ! {handed, Delivery},
        Delivery
    end),
    Handed = receive {handed, Given} -> Given end,
    kill(First),
    {ok, []} = primer:'receive'(Queue),
    ok = primer:extend(Handed, #{lease => ?LONG}),
    #{id := Id} = Handed,
    ok = primer:ack(Handed).

a_body_that_is_kept_keeps_no_lease() ->
    Queue = queue(),
    Body = crypto_free_bytes(100_000),
    {ok, _} = primer:enqueue(Queue, Body),
    Holder = holder(fun() ->
        #{body := Kept} = one(Queue),
        Kept
    end),
    erlang:garbage_collect(Holder),
    #{body := Body, attempts := 1} = one(Queue),
    Holder ! {show, self()},
    receive
        Kept -> ?assertEqual(Body, Kept)
    end.

a_delivery_of_a_batch_goes_back_without_the_others() ->
    Queue = queue(),
    {ok, _} = primer:enqueue_many(Queue, [<<"1">>, <<"2">>, <<"3">>]),
    Holder = holder(fun() ->
        {ok, [First, _, Third]} = primer:'receive'(Queue, #{max => 3, lease => ?LONG}),
        [First, Third]
    end),
    erlang:garbage_collect(Holder),
    #{body := <<"2">>, attempts := 1} = Second = one(Queue),
    {ok, []} = primer:'receive'(Queue),
    ok = primer:ack(Second),
    kill(Holder),
    #{body := <<"1">>} = one(Queue).

%% Inside the NIF's answer the messages of a batch share what they have in common.
a_batch_says_of_each_message_what_is_its_own() ->
    Queue = queue(),
    Headers = fun(Value) -> [{<<"k">>, Value}, {<<"k2">>, <<>>}] end,
    {ok, First} = primer:enqueue_many(Queue, [<<"1">>, <<"2">>]),
    {ok, Third} = primer:enqueue(Queue, <<"3">>, #{headers => Headers(<<"v3">>)}),
    {ok, Fourth} = primer:enqueue(Queue, <<"4">>, #{headers => Headers(<<"v4">>)}),
    {ok, Last} = primer:enqueue_many(Queue, [<<"5">>, <<"6">>, <<"7">>]),
    Ids = [Id || #{id := Id, copies := 1, durable_copies := 0, wanted := 1} <-
        First ++ [Third, Fourth] ++ Last],
    Bodies = [integer_to_binary(Number) || Number <- lists:seq(1, 7)],
    Expected = lists:zip3(Bodies, Ids,
        [[], [], Headers(<<"v3">>), Headers(<<"v4">>), [], [], []]),
    Take = fun() ->
        {ok, Batch} = primer:'receive'(Queue, #{max => 10, lease => ?LONG}),
        [?assertEqual(8, map_size(Delivery)) || Delivery <- Batch],
        [?assertEqual(<<"jobs">>, Name) || #{queue := Name} <- Batch],
        ?assertEqual(Expected, lists:sort([{Body, Id, Pairs} ||
            #{body := Body, id := Id, headers := Pairs} <- Batch])),
        Batch
    end,
    Settle = fun
        (#{body := Body, attempts := 1} = Delivery) when Body =:= <<"2">>; Body =:= <<"6">> ->
            ok = primer:nack(Delivery, #{delay => 0});
        (#{attempts := 1} = Delivery) ->
            ok = primer:release(Delivery)
    end,
    lists:foreach(Settle, Take()),
    Again = Take(),
    Tried = lists:sort([{Body, Attempts} || #{body := Body, attempts := Attempts} <- Again]),
    ?assertEqual(lists:zip(Bodies, [1, 2, 1, 1, 1, 2, 1]), Tried),
    ?assertEqual({ok, lists:duplicate(7, 0)}, primer:ack_many(Again)).

a_dead_subscriber_gives_everything_back_at_once() ->
    Queue = queue(),
    {ok, _} = primer:enqueue_many(Queue, [<<"1">>, <<"2">>, <<"3">>]),
    Parent = self(),
    Holder = holder(fun() ->
        {ok, Subscription} = primer:subscribe(Queue, #{credit => 3, lease => ?LONG}),
        receive {primer, Subscription, First} -> Parent ! {handed, First} end,
        receive {primer, Subscription, Second} -> Second end
    end),
    %% One is held here, one there, one is in its mailbox or on its way: all were its subscription's.
    Handed = receive {handed, Given} -> Given end,
    kill(Holder),
    Bodies = [maps:get(body, one(Queue)) || _ <- [1, 2, 3]],
    ?assertEqual([<<"1">>, <<"2">>, <<"3">>], lists:sort(Bodies)),
    ?assertMatch({error, {too_late, lease_lost, #{number := 401}}}, primer:extend(Handed)).

a_dead_puller_gives_everything_back_at_once() ->
    Queue = queue(),
    {ok, _} = primer:enqueue_many(Queue, [<<"1">>, <<"2">>]),
    Holder = holder(fun() ->
        {ok, Subscription} = primer:subscribe(Queue, #{credit => 2, lease => ?LONG, mode => pull}),
        {ok, Delivery} = primer:next(Subscription, ?LIMIT),
        {Subscription, Delivery}
    end),
    kill(Holder),
    Bodies = [maps:get(body, one(Queue)) || _ <- [1, 2]],
    ?assertEqual([<<"1">>, <<"2">>], lists:sort(Bodies)).

no_more_than_the_credit_is_ever_in_the_mailbox() ->
    Member = member(),
    {ok, Queue} = primer:queue(Member, <<"jobs">>),
    {ok, Subscription} = primer:subscribe(Queue, #{credit => 2, lease => ?LONG}),
    {ok, _} = primer:enqueue_many(Queue, [integer_to_binary(N) || N <- lists:seq(1, 50)]),
    all_was_pushed(Member),
    {messages, [_, _]} = process_info(self(), messages),
    drain(Member, Subscription, 50),
    {ok, []} = primer:'receive'(Queue).

drain(_Member, _Subscription, 0) ->
    ok;
drain(Member, Subscription, Left) ->
    {ok, Delivery} = primer:next(Subscription, ?LIMIT),
    ok = primer:ack(Delivery),
    all_was_pushed(Member),
    {message_queue_len, Length} = process_info(self(), message_queue_len),
    ?assertEqual(min(2, Left - 1), Length),
    drain(Member, Subscription, Left - 1).

%% Answers go in the order they were made, so the answer of a wait that begins now comes after every
%% delivery that was ready before.
all_was_pushed(Member) ->
    {ok, Probe} = primer:queue(Member, <<"probe">>),
    Parent = self(),
    {Pid, Monitor} = spawn_monitor(fun() ->
        {ok, Subscription} = primer:subscribe(Probe, #{lease => ?LONG}),
        {ok, _} = primer:enqueue(Probe, <<"now">>),
        {ok, Delivery} = primer:next(Subscription, ?LIMIT),
        ok = primer:ack(Delivery),
        Parent ! {self(), pushed}
    end),
    receive {Pid, pushed} -> ok end,
    receive {'DOWN', Monitor, process, Pid, normal} -> ok end.

%% Many more waiting calls than this VM has schedulers of any kind: if one of them kept its thread,
%% the messages below could not be enqueued.
waiting_callers_block_no_scheduler() ->
    Queue = queue(),
    Count = 10 * erlang:system_info(schedulers) + 2 * erlang:system_info(dirty_io_schedulers) + 100,
    Parent = self(),
    Callers = [
        spawn_monitor(fun() ->
            Parent ! calling,
            Delivery = one(Queue),
            ok = primer:ack(Delivery)
        end)
     || _ <- lists:seq(1, Count)
    ],
    [receive calling -> ok end || _ <- Callers],
    {ok, _} = primer:enqueue_many(Queue, lists:duplicate(Count, <<"x">>)),
    [receive {'DOWN', Monitor, process, Pid, normal} -> ok end || {Pid, Monitor} <- Callers],
    {ok, []} = primer:'receive'(Queue).

a_killed_caller_takes_its_demand_back() ->
    Member = member(),
    {ok, Queue} = primer:queue(Member, <<"jobs">>),
    Callers = [
        spawn(fun() -> {ok, [_]} = primer:'receive'(Queue, #{wait => ?LONG, lease => ?LONG}) end)
     || _ <- lists:seq(1, 50)
    ],
    until_waiting(Member, 50),
    [kill(Caller) || Caller <- Callers],
    until_waiting(Member, 0),
    {ok, _} = primer:enqueue(Queue, <<"x">>),
    #{attempts := 1} = one(Queue).

%% Asks every 10 ms until that many calls wait at the member; the test's own limit ends it otherwise.
until_waiting(Member, Count) ->
    case primer:stats(Member) of
        {ok, #{waiters := Count}} ->
            ok;
        {ok, _} ->
            timer:sleep(10),
            until_waiting(Member, Count)
    end.

%% Waits that end just as their message comes: each message is either received or still in the queue,
%% and no answer is left behind.
late_answers_do_not_stay_in_the_mailbox() ->
    Queue = queue(),
    {ok, Subscription} = primer:subscribe(Queue, #{mode => pull, credit => 1_000, lease => ?LONG}),
    Count = 300,
    Sender = spawn_link(fun() ->
        [
            begin
                {ok, _} = primer:enqueue(Queue, integer_to_binary(N)),
                erlang:yield()
            end
         || N <- lists:seq(1, Count)
        ]
    end),
    Seen = collect(Subscription, Count, []),
    ?assertEqual(lists:seq(1, Count), lists:sort([binary_to_integer(Body) || Body <- Seen])),
    unlink(Sender),
    ?assertEqual({messages, []}, process_info(self(), messages)).

collect(_Subscription, 0, Seen) ->
    Seen;
collect(Subscription, Left, Seen) ->
    case primer:next(Subscription, Left rem 2) of
        {ok, #{body := Body} = Delivery} ->
            ok = primer:ack(Delivery),
            collect(Subscription, Left - 1, [Body | Seen]);
        empty ->
            collect(Subscription, Left, Seen)
    end.

a_given_up_wait_says_whether_its_answer_comes() ->
    Queue = queue(),
    {ok, Subscription} = primer:subscribe(Queue, #{mode => pull, lease => ?LONG}),
    Wait = fun() ->
        {later, Later} = primer_nif:next(Subscription, true),
        Reference = make_ref(),
        later = primer_nif:await_later(Later, Reference),
        {Later, Reference}
    end,
    {Early, _} = Wait(),
    true = primer_nif:cancel_later(Early),
    {ok, _} = primer:enqueue(Queue, <<"1">>),
    {ok, #{body := <<"1">>}} = primer:next(Subscription, ?LIMIT),
    {Late, Reference} = Wait(),
    {ok, _} = primer:enqueue(Queue, <<"2">>),
    receive
        {primer, Reference, {ok, #{body := <<"2">>}}} -> false = primer_nif:cancel_later(Late)
    end,
    %% Given up in a process that then ends: the message is free for others.
    {Pid, Monitor} = spawn_monitor(fun() -> Wait() end),
    receive {'DOWN', Monitor, process, Pid, normal} -> ok end,
    {ok, _} = primer:enqueue(Queue, <<"3">>),
    {ok, #{body := <<"3">>}} = primer:next(Subscription, ?LIMIT),
    ?assertEqual({messages, []}, process_info(self(), messages)).

close_answers_those_who_wait() ->
    Member = member(),
    {ok, Queue} = primer:queue(Member, <<"jobs">>),
    Parent = self(),
    Waits = [
        fun() -> primer:'receive'(Queue, #{wait => ?LONG}) end,
        fun() ->
            {ok, Subscription} = primer:subscribe(Queue),
            receive {primer, Subscription, What} -> What end
        end,
        fun() ->
            {ok, Subscription} = primer:subscribe(Queue, #{mode => pull}),
            primer:next(Subscription, ?LONG)
        end,
        fun() ->
            {ok, Events} = primer:events(Member),
            primer:next(Events, infinity)
        end
    ],
    Pids = [spawn_link(fun() -> Parent ! calling, Parent ! {self(), Wait()} end) || Wait <- Waits],
    [receive calling -> ok end || _ <- Pids],
    ok = primer:close(Member),
    [
        receive
            {Pid, Answer} ->
                ?assertMatch({error, {member_down, closed, #{number := 501}}}, Answer)
        end
     || Pid <- Pids
    ],
    ok = primer:close(Member),
    ?assertMatch({error, {member_down, closed, #{number := 501}}}, primer:enqueue(Queue, <<"x">>)),
    ?assertMatch({error, {member_down, closed, _}}, primer:members(Member)).

a_closed_subscription_sends_nothing_more() ->
    Queue = queue(),
    {ok, Subscription} = primer:subscribe(Queue, #{credit => 10, lease => ?LONG}),
    {ok, _} = primer:enqueue_many(Queue, [<<"1">>, <<"2">>, <<"3">>]),
    {ok, First} = primer:next(Subscription, ?LIMIT),
    ok = primer:close(Subscription),
    ?assertEqual({messages, []}, process_info(self(), messages)),
    ok = primer:close(Subscription),
    ?assertMatch({error, {member_down, closed, _}}, primer:next(Subscription, ?LIMIT)),
    %% What was taken is still its taker's, the rest is back.
    Bodies = [maps:get(body, one(Queue)) || _ <- [1, 2]],
    ?assertEqual([<<"2">>, <<"3">>], lists:sort(Bodies)),
    ok = primer:ack(First).

events_come_as_messages() ->
    {ok, First} = primer:open(#{listen => "127.0.0.1:0", name => first}),
    {ok, Events} = primer:events(First),
    {ok, Second} = primer:open(#{seeds => [primer:address(First)], name => "second"}),
    Event = receive {primer, Events, #{kind := joined} = Joined} -> Joined end,
    ?assertMatch(#{name := <<"second">>, at_ms := At, missed := 0} when At > 0, Event),
    {ok, Members} = primer:members(Second),
    ?assertEqual(1, length([M || #{is_self := true, name := <<"second">>} = M <- Members])),
    {ok, []} = primer:take(Events, 0),
    {ok, Taken} = primer:take(Events, 100),
    ?assert(is_list(Taken)),
    ok = primer:close(Events),
    ok = primer:close(Second),
    ok = primer:close(First),
    ?assertEqual({messages, []}, process_info(self(), messages)).

answers_make_no_atoms() ->
    Member = member(),
    Noise = fun(N) ->
        Name = <<"name-", (integer_to_binary(N))/binary>>,
        {error, _} = primer:open([{Name, <<"value">>}]),
        {ok, Queue} = primer:queue(Member, Name),
        {ok, _} = primer:enqueue(Queue, <<"x">>, #{headers => #{Name => Name}}),
        {ok, [_]} = primer:'receive'(Queue),
        {error, _} = primer:join(Member, Name)
    end,
    Noise(0),
    {ok, _} = primer:stats(Member),
    Before = erlang:system_info(atom_count),
    lists:foreach(Noise, lists:seq(1, 500)),
    ?assertEqual(Before, erlang:system_info(atom_count)).

batches_keep_their_order() ->
    Queue = queue(),
    Bodies = [integer_to_binary(N) || N <- lists:seq(1, 4_096)],
    {ok, Receipts} = primer:enqueue_many(Queue, Bodies),
    ?assertEqual(4_096, length(lists:usort([Id || #{id := Id} <- Receipts]))),
    {ok, Deliveries} = primer:'receive'(Queue, #{max => 4_096, lease => ?LONG}),
    ?assertEqual(Bodies, [Body || #{body := Body} <- Deliveries]),
    ?assertEqual([Id || #{id := Id} <- Receipts], [Id || #{id := Id} <- Deliveries]),
    {ok, Codes} = primer:ack_many(Deliveries),
    ?assertEqual(lists:duplicate(4_096, 0), Codes),
    ?assertMatch({error, {wrong_call, _, _}}, primer:enqueue_many(Queue, [<<>> | Bodies])),
    ?assertMatch({error, {wrong_call, _, _}}, primer:ack_many([hd(Deliveries) | Deliveries])).

a_member_closes_with_its_last_handle() ->
    {ok, First} = primer:open(#{listen => "127.0.0.1:0"}),
    {ok, Events} = primer:events(First),
    Holder = holder(fun() ->
        {ok, Second} = primer:open(#{seeds => [primer:address(First)]}),
        Second
    end),
    receive {primer, Events, #{kind := joined}} -> ok end,
    kill(Holder),
    receive {primer, Events, #{kind := unreachable}} -> ok end,
    ok = primer:close(First).

threads_end_with_their_members() ->
    Before = threads(),
    Holder = holder(fun() ->
        Members = [member() || _ <- lists:seq(1, 10)],
        [
            begin
                {ok, Queue} = primer:queue(Member, <<"jobs">>),
                {ok, Subscription} = primer:subscribe(Queue),
                {ok, Events} = primer:events(Member),
                {Queue, Subscription, Events}
            end
         || Member <- Members
        ]
    end),
    Before =:= 0 orelse ?assert(threads() >= Before + 20),
    kill(Holder),
    until_threads(Before).

%% Linux tells; elsewhere there is nothing to compare.
threads() ->
    case file:list_dir("/proc/self/task") of
        {ok, Threads} -> length(Threads);
        {error, _} -> 0
    end.

until_threads(Most) ->
    case threads() > Most of
        true ->
            timer:sleep(10),
            until_threads(Most);
        false ->
            ok
    end.
